-- wrk's own summary is for people; this prints what the bench reads, on one line.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nBENCH {"requests":%d,"bytes":%d,"durationUs":%d,"p99Us":%d,"badStatus":%d,"socketErrors":%d}\n',
    summary.requests, summary.bytes, summary.duration, latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
