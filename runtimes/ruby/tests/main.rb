# What the table test asks for, by the header `x-action`: everfold/tests/runtimes.rs.

def main(context)
  req, res = context.req, context.res
  case req.headers["x-action"]
  when "request"
    res.json(
      { method: req.method, scheme: req.scheme, host: req.host, port: req.port, path: req.path, query: req.query,
        queryString: req.query_string, url: req.url, headers: req.headers }
    )
  when "text" then res.text(req.body_text)
  when "json" then res.json({ json: req.body_json })
  when "body" then res.json({ body: req.body, raw: req.body_raw })
  when "binary" then res.binary(req.body_binary)
  when "length" then res.text(req.body_binary.bytesize)
  when "created"
    res.text("made", 201, { "X-Upper" => "Kept", "X-Open-Runtimes-Mine" => "dropped", "Content-Length" => "1" })
  when "html" then res.text("<p>", 200, { "content-type" => "TEXT/HTML" })
  when "charset" then res.text("<p>", 200, { "content-type" => "text/html; charset=latin1" })
  when "multipart" then res.text("--b--", 200, { "content-type" => "multipart/mixed; boundary=b" })
  when "cookies" then res.text("", 200, { "set-cookie" => ["a=1", "b=2"] })
  when "split" then res.text("", 200, { "x-one" => "a\r\nx-two: b" })
  when "status" then res.text("", 1000)
  when "empty" then res.empty
  when "body204" then res.text("not sent", 204)
  when "redirect" then res.redirect("https://everfold.test/there")
  when "redirect307" then res.redirect("/there", 307, { "x-why" => "moved" })
  when "throw" then raise "thrown on purpose"
  when "later" then Thread.new { raise "thrown later" }.join
  when "nothing" then nil
  when "sleep"
    sleep(3)
    res.text("late")
  when "logs"
    context.log("plain", 1, true, { a: [1] })
    context.error("bad")
    context.error(RuntimeError.new("told"))
    res.text("logged")
  when "long"
    context.log("é" * 8000)
    context.log("é" * 8001)
    res.text("logged")
  when "native"
    puts "to the console 1"
    warn "as an error"
    res.text("printed")
  when "stdout"
    $stdout.write("to stdout\n")
    $stderr.print("to stderr")
    res.text("printed")
  when "concurrent"
    me = req.body_text
    %w[first second].each do |part|
      context.log("#{me} #{part}")
      puts "#{me} printed #{part}"
      sleep(0.2)
    end
    res.text(me)
  when "stream"
    parts = Enumerator.new do |out|
      context.log("in the stream")
      out << "one,"
      sleep(1)
      out << "two"
    end
    res.text(parts, 200, { "content-type" => "text/event-stream" })
  when "broken"
    res.binary(Enumerator.new { |out| out << "1"; raise "broken on purpose" })
  when "environment" then res.json({ all: ENV.to_h })
  else res.text("Hello")
  end
end
