-- Open, or press the button behind, one confirmation link after another. After --: the method and a file of paths.
-- A link is pressed once: when none is left, this thread stops.
local threads, n, paths = 0, 0, {}

function setup(thread)
  thread:set("thread", threads)
  threads = threads + 1
end

function init(args)
  method = args[1]
  local number = 0
  for path in io.lines(args[2]) do
    if number % tonumber(args[3]) == thread then paths[#paths + 1] = path end
    number = number + 1
  end
end

function request()
  n = n + 1
  local headers = {
    ["Accept-Encoding"] = "gzip",
    ["X-Forwarded-For"] = "10.1." .. math.floor(n / 256) % 256 .. "." .. n % 256,
  }
  if method == "GET" then return wrk.format("GET", paths[n % #paths + 1], headers) end
  if n >= #paths then wrk.thread:stop() end
  headers["Content-Type"] = "application/x-www-form-urlencoded"
  return wrk.format("POST", paths[math.min(n, #paths)], headers, "")
end
