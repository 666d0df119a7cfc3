# HTTP/1.1 on a Unix socket, as much of it as a proxy speaks: no pipelining, no upgrades.

BODY_BYTES_MAX = 20 * 1024 * 1024
HEAD_BYTES_MAX = 64 * 1024
READ_BYTES = 64 * 1024

# What frames a message belongs to the server, not to user code.
FRAMING = %w[connection content-length keep-alive trailer transfer-encoding upgrade].freeze
NAME = /\A[!#$%&'*+\-.^_`|~0-9a-z]+\z/
VALUE = /\A[^\x00-\x08\x0a-\x1f\x7f]*\z/
REQUEST = %r{\A(\S+) (\S+) HTTP/1\.([01])\z}

# What came is not HTTP, or more than is read of it.
class Refused < StandardError; end

class Connection
  attr_reader :method, :target, :headers
  attr_accessor :is_last

  def initialize(socket)
    @socket = socket
    @rest = String.new
  end

  # Answers one request after the other, for as long as the other side asks.
  def serve
    @is_last = false
    while !@is_last && request
      yield self
      body
    end
  rescue Refused
    @socket.write("HTTP/1.1 400 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n") rescue nil
  rescue IOError, SystemCallError
    # The other side is gone.
  ensure
    @socket.close
  end

  # All of it, once; nil above the bound.
  def body
    return "".b if @is_read
    @is_read = true
    @socket.write("HTTP/1.1 100 Continue\r\n\r\n") if @headers["expect"]&.downcase == "100-continue"
    return @length > BODY_BYTES_MAX ? too_large : take(@length) unless @is_chunked

    body = "".b
    while (size = chunk_bytes) > 0
      return too_large if body.bytesize + size > BODY_BYTES_MAX
      body << take(size)
      line
    end
    nil until line.empty?
    body
  end

  def reply(status, lines, body)
    lines += ["content-length: #{body.bytesize}"] if body?(status)
    head(status, lines, @method == "HEAD" || !body?(status) ? "" : body)
  end

  # Ends the log before the stream. What is raised on the way is an error, and the reply is seen to be cut.
  def stream(status, lines, chunks, call)
    is_sent = body?(status) && @method != "HEAD"
    lines += ["transfer-encoding: chunked"] if body?(status)
    head(status, lines, "")
    begin
      if is_sent
        chunks.each do |chunk|
          chunk = chunk.to_s.b
          @socket.write("#{chunk.bytesize.to_s(16)}\r\n".b << chunk << "\r\n") unless chunk.empty?
        end
      end
    rescue Exception => error
      call.error(error)
      @is_last = true
      is_sent = false
    end
    call.close
    @socket.write("0\r\n\r\n") if is_sent
  end

  private

  def request
    until (ending = @rest.index("\r\n\r\n"))
      raise Refused if @rest.bytesize > HEAD_BYTES_MAX
      return false unless more
    end
    first, *lines = @rest.slice!(0, ending + 4).split("\r\n")
    raise Refused unless (match = REQUEST.match(first || ""))
    _, @method, @target, minor = match.to_a
    @headers = {}
    lines.each { |line| header(*line.split(":", 2)) }
    @is_chunked = @headers.key?("transfer-encoding")
    length = @headers["content-length"]
    raise Refused if length && (@is_chunked || !length.match?(/\A[0-9]+\z/))
    @length = length.to_i
    @is_read = !@is_chunked && @length.zero?
    connection = @headers["connection"]&.downcase
    @is_last = connection == "close" || (minor == "0" && connection != "keep-alive")
    true
  end

  def header(name, value = nil)
    name = name.downcase
    raise Refused unless value && NAME.match?(name)
    value = value.gsub(/\A[ \t]+|[ \t]+\z/, "").force_encoding("UTF-8").scrub
    if @headers.key?(name)
      raise Refused if FRAMING.include?(name)
      value = @headers[name] + (name == "cookie" ? "; " : ", ") + value
    end
    @headers[name] = value
  end

  def head(status, lines, body)
    lines += ["connection: close"] if @is_last
    @socket.write("HTTP/1.1 #{status} \r\n#{lines.join("\r\n")}\r\n\r\n".b << body.b)
  end

  def too_large
    @is_last = true
    nil
  end

  def chunk_bytes
    size = line[/\A[0-9a-fA-F]{1,8}/] or raise Refused
    size.to_i(16)
  end

  def line
    until (ending = @rest.index("\r\n"))
      raise Refused if @rest.bytesize > HEAD_BYTES_MAX || !more
    end
    @rest.slice!(0, ending + 2).chomp("\r\n")
  end

  def take(length)
    while @rest.bytesize < length
      raise Refused unless more
    end
    @rest.slice!(0, length)
  end

  def more
    @rest << @socket.readpartial(READ_BYTES)
  rescue EOFError
    nil
  end
end

# Whether a reply may have a body at all, and so a length.
def body?(status)
  ![204, 205, 304].include?(status)
end

# A line break in a header would begin a header of its own, or a body.
def header_line(name, value)
  return "#{name}: #{value}" if NAME.match?(name) && VALUE.match?(value)
  raise ArgumentError, "A response header has a character that no header may have: #{name}: #{value.inspect}"
end
