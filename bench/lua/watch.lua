-- People who watch: eight polls of the number for each two page views, a fixed number a second over all connections.
-- After --: how many a second for each thread. Ends with the times that answers took, for the report.
local ffi = require("ffi")
ffi.cdef("typedef struct { long seconds, nanoseconds; } instant; int clock_gettime(int, instant *);")

local instant, n, next_at = ffi.new("instant"), 0, nil

local function now()
  ffi.C.clock_gettime(1, instant)
  return tonumber(instant.seconds) * 1000 + tonumber(instant.nanoseconds) / 1e6
end

function init(args)
  milliseconds = 1000 / tonumber(args[1])
  local headers = { ["Accept-Encoding"] = "gzip" }
  local count, en = wrk.format("GET", "/petitions/chechnya/count.json", headers), wrk.format("GET", "/en/", headers)
  local ru = wrk.format("GET", "/ru/", headers)
  requests = { count, count, count, count, en, count, count, count, count, ru }
end

function request()
  n = n % #requests + 1
  return requests[n]
end

-- Each request has its turn on a schedule; one that is late goes at once.
function delay()
  next_at = (next_at or now()) + milliseconds
  return math.max(0, math.floor(next_at - now()))
end

function done(summary, latency)
  io.write("percentiles")
  for _, p in pairs({ 50, 95, 99 }) do io.write(" ", latency:percentile(p) / 1e6) end
  io.write("\n")
end
