// Package server runs a function in Go: net/http on a Unix socket. The contract is in runtimes/README.md.
package server

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

const (
	bodyBytesMax   = 20 << 20
	headBytesMax   = 64 << 10
	entryCharsMax  = 8000
	streamBytesMax = 32 << 10

	ours      = "x-open-runtimes-"
	cut       = "... Log truncated due to size limit (8000 characters)"
	noReturn  = "Return statement missing. return context.res.empty() if no response is expected."
	plainText = "text/plain; charset=utf-8"
)

var (
	// What frames a message belongs to the server, not to user code.
	framing = map[string]bool{"connection": true, "content-length": true, "keep-alive": true, "trailer": true,
		"transfer-encoding": true, "upgrade": true}
	headerName  = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9a-z]+$")
	headerValue = regexp.MustCompile(`^[^\x00-\x08\x0a-\x1f\x7f]*$`)
	address     = regexp.MustCompile(`^(.*?)(?::([0-9]*))?$`)
	wholeNumber = regexp.MustCompile(`^0*[1-9][0-9]*$`)
)

// Function is what the user wrote.
type Function func(openruntimes.Context) openruntimes.Response

type server struct {
	main     Function
	secret   string
	enforced map[string]string
	logs     *os.File
	logging  sync.Mutex
}

// Serve answers for as long as it is let.
func Serve(main Function) {
	secret, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	server := &server{main: main, secret: strings.TrimSpace(secret), enforced: enforcedHeaders()}
	if file := os.Getenv("EVERFOLD_LOGS"); file != "" {
		logs, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		must(err)
		server.logs = logs
	}
	rand.Seed(time.Now().UnixNano())
	listener, err := net.Listen("unix", os.Getenv("EVERFOLD_SOCKET"))
	must(err)
	fmt.Println("HTTP server successfully started!")
	must((&http.Server{Handler: server, MaxHeaderBytes: headBytesMax}).Serve(listener))
}

func (server *server) ServeHTTP(writer http.ResponseWriter, asked *http.Request) {
	path, queryString, _ := strings.Cut(asked.RequestURI, "?")
	switch path {
	case "/__opr/health":
		plain(writer, []byte("OK"))
		return
	case "/__opr/timings":
		timings, _ := os.ReadFile(os.Getenv("EVERFOLD_TIMINGS"))
		plain(writer, timings)
		return
	}

	headers := headersOf(asked)
	call := newCall(server, writer, asked)
	timeout := headers[ours+"timeout"]
	if timeout != "" && !wholeNumber.MatchString(timeout) {
		call.end(text(500, `Header "`+ours+`timeout" must be an integer greater than 0.`))
		return
	}
	if server.secret != "" && headers[ours+"secret"] != server.secret {
		call.end(text(500, `Unauthorized. Provide correct "`+ours+`secret" header.`))
		return
	}
	if asked.ContentLength > bodyBytesMax {
		call.tooLarge()
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(writer, asked.Body, bodyBytesMax))
	if err != nil {
		call.tooLarge()
		return
	}

	request := server.request(asked, headers, path, queryString)
	outcome := make(chan func(), 1)
	go func() { outcome <- call.run(openruntimes.NewContext(request, body, call.log)) }()
	select {
	case end := <-outcome:
		end()
	case <-after(timeout):
		// The clock ends the waiting, not the code: what loops is ended by whoever launched this server.
		call.fail("Execution timed out.")
	}
}

func (server *server) request(asked *http.Request, headers map[string]string, path, queryString string) openruntimes.ContextRequest {
	shown := map[string]string{}
	for name, value := range headers {
		if !strings.HasPrefix(name, ours) {
			shown[name] = value
		}
	}
	for name, value := range server.enforced {
		shown[name] = value
	}
	scheme, usual := headers["x-forwarded-proto"], 80
	if scheme == "" {
		scheme = "http"
	}
	if scheme == "https" {
		usual = 443
	}
	parts := address.FindStringSubmatch(asked.Host)
	port, err := strconv.Atoi(parts[2])
	if err != nil {
		port = usual
	}
	whole := scheme + "://" + parts[1]
	if port != usual {
		whole += fmt.Sprintf(":%d", port)
	}
	whole += path
	if queryString != "" {
		whole += "?" + queryString
	}
	return openruntimes.ContextRequest{Method: asked.Method, Scheme: scheme, Host: parts[1], Port: port, Path: path,
		Query: query(queryString), QueryString: queryString, Url: whole, Headers: shown}
}

// One run of the function: its log entries, and what comes of it.
type call struct {
	server *server
	writer http.ResponseWriter
	isHead bool
	id     string
	lock   sync.Mutex
	isOver bool
}

func newCall(server *server, writer http.ResponseWriter, asked *http.Request) *call {
	call := &call{server: server, writer: writer, isHead: asked.Method == http.MethodHead}
	logging, isSaid := asked.Header["X-Open-Runtimes-Logging"]
	if isSaid && logging[0] != "enabled" {
		return call
	}
	call.id = asked.Header.Get(ours + "log-id")
	if call.id == "" && os.Getenv("OPEN_RUNTIMES_ENV") == "development" {
		call.id = "dev"
	}
	if call.id == "" {
		// When, to the microsecond, and by chance.
		now := time.Now()
		call.id = fmt.Sprintf("%08x%05x%07x", now.Unix(), now.Nanosecond()/1000, rand.Intn(1<<28))
	}
	return call
}

// Runs the function, and gives what is then to be done.
func (call *call) run(context openruntimes.Context) (end func()) {
	defer func() {
		if thrown := recover(); thrown != nil {
			stack := fmt.Sprintf("%v\n%s", thrown, debug.Stack())
			end = func() { call.fail(stack) }
		}
	}()
	response := call.server.main(context)
	return func() { call.respond(response) }
}

func (call *call) respond(response openruntimes.Response) {
	if response.StatusCode == 0 && response.Body == nil && response.Stream == nil {
		call.fail(noReturn)
		return
	}
	if response.StatusCode == 0 {
		response.StatusCode = 200
	}
	if response.StatusCode < 200 || response.StatusCode > 599 {
		call.fail(fmt.Sprintf("A status is a number from 200 to 599, not %d.", response.StatusCode))
		return
	}
	call.end(response)
}

func (call *call) fail(why string) {
	call.log("errors", []interface{}{why})
	call.end(text(500, ""))
}

func (call *call) tooLarge() {
	call.writer.Header().Set("connection", "close")
	call.end(text(413, "The body is larger than 20 MiB."))
}

func (call *call) end(response openruntimes.Response) {
	lines, err := headersFor(response)
	if err != nil {
		call.fail(err.Error())
		return
	}
	to := call.writer.Header()
	for name, values := range lines {
		to[http.CanonicalHeaderKey(name)] = values
	}
	to.Set(ours+"log-id", call.id)
	hasBody := response.StatusCode != 204 && response.StatusCode != 205 && response.StatusCode != 304
	if response.Stream != nil {
		call.stream(response, hasBody && !call.isHead)
		return
	}
	call.close()
	if hasBody {
		to.Set("content-length", strconv.Itoa(len(response.Body)))
	}
	call.writer.WriteHeader(response.StatusCode)
	if hasBody && !call.isHead {
		_, _ = call.writer.Write(response.Body)
	}
}

// Ends the log before the stream. What fails on the way is an error, and the reply is seen to be cut.
func (call *call) stream(response openruntimes.Response, isSent bool) {
	flusher := call.writer.(http.Flusher)
	call.writer.WriteHeader(response.StatusCode)
	flusher.Flush()
	part := make([]byte, streamBytesMax)
	for isSent {
		length, err := response.Stream.Read(part)
		if length > 0 {
			if _, gone := call.writer.Write(part[:length]); gone != nil {
				break
			}
			flusher.Flush()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			call.log("errors", []interface{}{err})
			call.close()
			panic(http.ErrAbortHandler)
		}
	}
	if closer, isCloser := response.Stream.(io.Closer); isCloser {
		_ = closer.Close()
	}
	call.close()
}

func (call *call) log(stream string, values []interface{}) {
	words := make([]string, len(values))
	for number, value := range values {
		words[number] = shown(value)
	}
	entry := strings.Join(words, " ")
	if chars := []rune(entry); len(entry) > entryCharsMax && len(chars) > entryCharsMax {
		entry = string(chars[:entryCharsMax]) + cut
	}
	call.frame(map[string]interface{}{"id": call.id, "stream": stream, "text": entry}, false)
}

func (call *call) close() {
	call.frame(map[string]interface{}{"id": call.id, "end": true}, true)
}

// A line of the log: one write each, so that none is torn, and none after the last.
func (call *call) frame(entry map[string]interface{}, isLast bool) {
	call.lock.Lock()
	defer call.lock.Unlock()
	if call.isOver || call.id == "" || call.server.logs == nil {
		return
	}
	call.isOver = isLast
	line, _ := json.Marshal(entry)
	call.server.logging.Lock()
	defer call.server.logging.Unlock()
	_, _ = call.server.logs.Write(append(line, '\n'))
}

func headersOf(asked *http.Request) map[string]string {
	headers := map[string]string{"host": asked.Host}
	for name, values := range asked.Header {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		headers[strings.ToLower(name)] = strings.Join(values, separator)
	}
	return headers
}

func headersFor(response openruntimes.Response) (map[string][]string, error) {
	lines := map[string][]string{}
	add := func(name string, values []string) error {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, ours) || framing[name] {
			return nil
		}
		for _, value := range values {
			// A line break in a header would begin a header of its own, or a body.
			if !headerName.MatchString(name) || !headerValue.MatchString(value) {
				return fmt.Errorf("a response header has a character that no header may have: %q: %q", name, value)
			}
		}
		lines[name] = values
		return nil
	}
	for name, value := range response.Headers {
		if err := add(name, []string{value}); err != nil {
			return nil, err
		}
	}
	for name, values := range response.Repeated {
		if err := add(name, values); err != nil {
			return nil, err
		}
	}
	contentType := "text/plain"
	if given := lines["content-type"]; len(given) > 0 {
		contentType = strings.ToLower(given[0])
	}
	if !strings.HasPrefix(contentType, "multipart/") && !strings.Contains(contentType, "charset=") {
		contentType += "; charset=utf-8"
	}
	lines["content-type"] = []string{contentType}
	return lines, nil
}

func query(text string) map[string]string {
	query := map[string]string{}
	for _, pair := range strings.Split(text, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key == "" {
			continue
		}
		query[decoded(key)] = decoded(value)
	}
	return query
}

func decoded(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return text
}

func shown(value interface{}) string {
	switch value := value.(type) {
	case string:
		return value
	case error:
		return value.Error()
	case fmt.Stringer:
		return value.String()
	}
	if line, err := json.Marshal(value); err == nil {
		return string(line)
	}
	return fmt.Sprintf("%#v", value)
}

func enforcedHeaders() map[string]string {
	var given map[string]interface{}
	_ = json.Unmarshal([]byte(os.Getenv("OPEN_RUNTIMES_HEADERS")), &given)
	enforced := map[string]string{}
	for name, value := range given {
		enforced[strings.ToLower(name)] = shown(value)
	}
	return enforced
}

func after(timeout string) <-chan time.Time {
	seconds, err := strconv.ParseInt(timeout, 10, 32)
	if err != nil {
		return nil
	}
	return time.After(time.Duration(seconds) * time.Second)
}

func plain(writer http.ResponseWriter, body []byte) {
	writer.Header().Set("content-type", plainText)
	_, _ = writer.Write(body)
}

func text(status int, body string) openruntimes.Response {
	return openruntimes.Response{StatusCode: status, Body: []byte(body)}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
