# The server of functions in Ruby: a thread for each connection. The contract between Everfold and a function is in
# runtimes/README.md. `json` is loaded when it is needed: without it, a cold start is shorter.

require "socket"
require "stringio"
require_relative "wire"

ENTRY_CHARS_MAX = 8000
BACKLOG = 512

OURS = "x-open-runtimes-"
CUT = "... Log truncated due to size limit (8000 characters)"
NOTICE = "Native logs detected. Use context.log() or context.error() for better experience."
NO_RETURN = "Return statement missing. return context.res.empty() if no response is expected."
PLAIN = ["content-type: text/plain; charset=utf-8"].freeze

class TimedOut < Exception; end

# Told without a stack.
class Missing < StandardError; end

module Server
  LOADING = Mutex.new
  LOGGING = Mutex.new

  class << self
    attr_reader :enforced, :is_development

    def run
      @secret = $stdin.gets.to_s.strip
      @folder = ENV.fetch("EVERFOLD_FUNCTION", ".")
      @entrypoint = ENV.fetch("OPEN_RUNTIMES_ENTRYPOINT", "main.rb")
      @is_development = ENV["OPEN_RUNTIMES_ENV"] == "development"
      @enforced = enforced_headers(ENV["OPEN_RUNTIMES_HEADERS"])
      @logs = ENV["EVERFOLD_LOGS"] && File.open(ENV["EVERFOLD_LOGS"], "ab").tap { |file| file.sync = true }
      listener = UNIXServer.new(ENV.fetch("EVERFOLD_SOCKET"))
      listener.listen(BACKLOG)
      $stdout.puts "HTTP server successfully started!"
      $stdout.flush
      $stdout, $stderr = Printed.new(STDOUT), Printed.new(STDERR)
      loop do
        socket = listener.accept
        thread = Thread.new do
          # The clock may interrupt user code alone.
          Thread.handle_interrupt(TimedOut => :never) { Connection.new(socket).serve { |asked| answer(asked) } }
        end
        thread.report_on_exception = false
      end
    end

    # A line of the log: one write each, so that none is torn.
    def frame(line)
      LOGGING.synchronize { @logs&.write(line) }
    end

    private

    def answer(asked)
      path, query_string = asked.target.split("?", 2)
      return asked.reply(200, PLAIN, "OK") if path == "/__opr/health"
      return asked.reply(200, PLAIN, timings) if path == "/__opr/timings"

      headers = asked.headers
      call = Call.new(asked, headers.fetch("#{OURS}logging", "enabled"), headers["#{OURS}log-id"])
      timeout = headers["#{OURS}timeout"].to_s
      unless timeout.empty? || (timeout.match?(/\A[0-9]+\z/) && timeout.to_i > 0)
        return call.end(500, "Header \"#{OURS}timeout\" must be an integer greater than 0.")
      end
      unless @secret.empty? || headers["#{OURS}secret"] == @secret
        return call.end(500, "Unauthorized. Provide correct \"#{OURS}secret\" header.")
      end
      body = asked.body
      return call.end(413, "The body is larger than 20 MiB.") if body.nil?

      Thread.current.thread_variable_set(:call, call)
      begin
        LOADING.synchronize { load_function }
      rescue Exception => error
        return call.fail(error, 503)
      end
      call.respond(within(timeout) { TOPLEVEL.__send__(:main, Context.new(call, Request.new(asked, path, query_string || "", body))) })
    rescue TimedOut
      call.fail("Execution timed out.")
    rescue Exception => error
      # What failed outside the function is the connection's.
      raise if call.nil? || call.answered? || error.is_a?(Refused)
      call.fail(error)
    ensure
      Thread.current.thread_variable_set(:call, nil)
    end

    # A thread that waits, and then throws into this one. What it threw too late is taken here, not by the next request.
    def within(timeout, &code)
      return yield if timeout.empty?
      running = Thread.current
      clock = Thread.new do
        sleep(timeout.to_i)
        running.raise(TimedOut)
      end
      begin
        Thread.handle_interrupt(TimedOut => :immediate, &code)
      ensure
        clock.kill
        clock.join
        begin
          Thread.handle_interrupt(TimedOut => :immediate) { Thread.pass }
        rescue TimedOut
          nil
        end
      end
    end

    def load_function
      return if @is_loaded
      file = File.join(File.expand_path(@folder), @entrypoint)
      raise Missing, "Failed to load entrypoint, file #{@entrypoint} does not exist." unless File.file?(file)
      load_gems if File.file?(File.join(@folder, "Gemfile"))
      require file
      unless Object.private_method_defined?(:main)
        raise Missing, "Failed to load entrypoint, #{@entrypoint} has no method `main`."
      end
      @is_loaded = true
    end

    def load_gems
      ENV["BUNDLE_GEMFILE"] = File.join(@folder, "Gemfile")
      ENV["BUNDLE_PATH"] = File.join(@folder, ".everfold/bundle")
      require "rubygems"
      require "bundler/setup"
    end

    def timings
      File.binread(ENV.fetch("EVERFOLD_TIMINGS", File::NULL))
    rescue SystemCallError
      ""
    end

    def enforced_headers(text)
      return {} if text.to_s.empty?
      require "json"
      JSON.parse(text).to_h { |name, value| [name.downcase, value.to_s] }
    rescue JSON::ParserError, NoMethodError
      {}
    end
  end
end

# One run of the function: its log entries, and what comes of it.
class Call
  attr_reader :is_over

  def initialize(connection, logging, id)
    @connection = connection
    @id = logging == "enabled" ? [id, Server.is_development ? "dev" : new_id].find { |id| !id.to_s.empty? } : ""
    # What was printed and has no line break yet; nil before anything was.
    @printed = nil
  end

  def answered? = @is_answered

  def log(*values)
    entry("logs", values.map { |value| shown(value) }.join(" "))
  end

  def error(*values)
    entry("errors", values.map { |value| shown(value) }.join(" "))
  end

  def print(text)
    log(NOTICE) if @printed.nil?
    *lines, @printed = "#{@printed}#{text}".split("\n", -1)
    @printed ||= ""
    lines.each { |line| entry("logs", line) }
  end

  def close
    entry("logs", @printed) unless @printed.to_s.empty?
    Server.frame(%({"id":#{quoted(@id)},"end":true}\n)) unless @is_over || @id.empty?
    @is_over = true
  end

  def respond(output)
    return fail(NO_RETURN) unless output.is_a?(Hash)
    status = Integer(output[:statusCode] || output["statusCode"] || 200)
    raise RangeError, "A status is a number from 200 to 599, not #{status}." unless (200..599).cover?(status)
    self.end(status, output[:body] || output["body"] || "", output[:headers] || output["headers"] || {})
  end

  def fail(error, status = 500)
    return if @is_answered
    self.error(error)
    self.end(status, "")
  end

  def end(status, body, given = {})
    lines = []
    content_type = "text/plain"
    given.each do |key, values|
      name = key.to_s.downcase
      next if name.start_with?(OURS) || FRAMING.include?(name)
      Array(values).each do |value|
        name == "content-type" ? content_type = value.to_s.downcase : lines << header_line(name, value.to_s)
      end
    end
    content_type += "; charset=utf-8" unless content_type.start_with?("multipart/") || content_type.include?("charset=")
    lines << header_line("content-type", content_type) << header_line("#{OURS}log-id", @id)
    @is_answered = true
    return @connection.stream(status, lines, body, self) if stream?(body)
    close
    @connection.reply(status, lines, body.is_a?(Array) ? body.pack("C*") : body.to_s)
  end

  private

  def entry(stream, text)
    return if @is_over || @id.empty?
    text = text.dup.force_encoding("UTF-8").scrub
    text = text[0, ENTRY_CHARS_MAX] + CUT if text.length > ENTRY_CHARS_MAX
    Server.frame(%({"id":#{quoted(@id)},"stream":"#{stream}","text":#{quoted(text)}}\n))
  end

  # When, to the microsecond, and by chance: 20 hexadecimal digits.
  def new_id
    now = Time.now
    format("%08x%05x%07x", now.to_i, now.usec, rand(16**7))
  end
end

class Context
  attr_reader :req, :res

  def initialize(call, request)
    @call = call
    @req = request
    @res = Response.new
  end

  def log(*values) = @call.log(*values)

  def error(*values) = @call.error(*values)
end

class Request
  attr_reader :method, :headers, :scheme, :host, :port, :path, :query, :query_string, :url, :body_binary

  def initialize(asked, path, query_string, body)
    @method = asked.method
    @headers = asked.headers.reject { |name, _| name.start_with?(OURS) }.merge(Server.enforced)
    @scheme = asked.headers["x-forwarded-proto"].to_s
    @scheme = "http" if @scheme.empty?
    usual = @scheme == "https" ? 443 : 80
    @host, port = asked.headers["host"].to_s.match(/\A(.*?)(?::([0-9]*))?\z/).captures
    @port = port.to_s.empty? ? usual : port.to_i
    @path = path
    @query = query_string.split("&").map { |pair| pair.split("=", 2) }.reject { |key, _| key.to_s.empty? }
    @query = @query.to_h { |key, value| [key, value || ""] }
    @query_string = query_string
    @url = "#{@scheme}://#{@host}#{":#{@port}" if @port != usual}#{path}#{"?" unless query_string.empty?}#{query_string}"
    @body_binary = body
  end

  def body_text = @body_binary.dup.force_encoding("UTF-8").scrub

  def body_raw = body_text

  def body_json
    require "json"
    JSON.parse(body_text)
  end

  def body
    return body_text unless @headers["content-type"].to_s.downcase.start_with?("application/json")
    @body_binary.empty? ? {} : body_json
  end
end

class Response
  def text(body, status_code = 200, headers = {}) = binary(stream?(body) ? body : body.to_s, status_code, headers)

  def json(object, status_code = 200, headers = {})
    require "json"
    binary(JSON.generate(object), status_code, headers.merge("content-type" => "application/json"))
  end

  def binary(bytes, status_code = 200, headers = {}) = { body: bytes, statusCode: status_code, headers: headers }

  def empty = binary("", 204)

  def redirect(url, status_code = 301, headers = {}) = binary("", status_code, headers.merge("location" => url))

  def send(body, status_code = 200, headers = {}) = text(body, status_code, headers)
end

# Standard output, or error: what a call prints belongs to the call.
class Printed < StringIO
  def initialize(stream)
    super()
    @stream = stream
  end

  def write(*texts)
    call = Thread.current.thread_variable_get(:call)
    return @stream.write(*texts) if call.nil? || call.is_over
    call.print(texts.join)
    texts.sum { |text| text.to_s.bytesize }
  end

  def flush = @stream.flush && self
end

def stream?(body) = body.respond_to?(:each) && !body.is_a?(Array) && !body.is_a?(Hash)

def shown(value)
  case value
  when Missing then value.message
  when Exception then value.full_message(highlight: false).chomp
  when Hash, Array
    require "json"
    JSON.generate(value)
  else value.to_s
  end
end

def quoted(text)
  return %("#{text}") if text.match?(/\A[\w .:-]*\z/)
  require "json"
  JSON.generate(text)
end

TOPLEVEL = self
Server.run
