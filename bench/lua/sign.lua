-- Sign with an address of its own each time, from a network of its own. After --: a word that no other run has used.
local threads, n = 0, 0
local form = { ["Content-Type"] = "application/x-www-form-urlencoded", ["Accept-Encoding"] = "gzip" }

function setup(thread)
  thread:set("thread", threads)
  threads = threads + 1
end

function init(args)
  word = args[1]
  math.randomseed(tonumber(word, 36) % 2147483647 + thread)
end

function request()
  n = n + 1
  form["X-Forwarded-For"] = "10." .. math.random(0, 255) .. "." .. math.random(0, 255) .. "." .. math.random(0, 255)
  return wrk.format("POST", nil, form, "email=" .. word .. "." .. thread .. "." .. n .. "%40example.org&name=Anna+Bench"
    .. "&country=DE&words=&consent=on&website=&source=&email_as_typed=")
end
