-- A load of webhooks: 400-byte JSON documents of five types, posted to the paths of a file in turn.
-- wrk … -s webhook.lua URL -- PATHS_FILE; the last line printed is JSON.
local requests, next_index, count = {}, 0, 1000
local types = { "order.created", "order.paid", "order.shipped", "refund.created", "user.updated" }

function init(args)
  local paths = {}
  for path in io.lines(args[1]) do paths[#paths + 1] = path end
  count = math.max(count, #paths)
  local note = string.rep("x", 150)
  for n = 0, count - 1 do
    local body = string.format(
      '{"id":"evt_%06d","type":"%s","amount":%d,"created":1763690000,"livemode":false,"customer":{"id":"cus_%05d","email":"user%05d@example.com","country":"PT"},"object":{"sku":"SKU-%04d","qty":%d,"currency":"eur"},"note":"%s"}',
      n, types[n % 5 + 1], n % 97, n, n, n, n % 7, note)
    local headers = { ["Content-Type"] = "application/json", ["Host"] = "127.0.0.1" }
    requests[n] = wrk.format("POST", paths[n % #paths + 1], headers, body)
  end
end

function request()
  local one = requests[next_index % count]
  next_index = next_index + 1
  return one
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"ok":%d,"seconds":%.4f,"refused":%d,"broken":%d,"p50_ms":%.3f,"p99_ms":%.3f}',
    summary.requests - errors.status, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
