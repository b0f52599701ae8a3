-- GET one path from many networks. After --: a header and its value, or nothing.
local requests, n = {}, 0

function init(args)
  for network = 1, 997 do
    local headers = {
      ["Accept-Encoding"] = "gzip",
      ["X-Forwarded-For"] = "10.0." .. math.floor(network / 256) .. "." .. network % 256,
    }
    if args[1] then headers[args[1]] = args[2] end
    requests[network] = wrk.format("GET", nil, headers)
  end
end

function request()
  n = n % #requests + 1
  return requests[n]
end
