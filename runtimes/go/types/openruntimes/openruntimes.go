// Package openruntimes is what a function in Go sees: the request, and the ways to answer it.
package openruntimes

import (
	"encoding/json"
	"io"
	"strings"
)

// Context is one run of a function.
type Context struct {
	Req ContextRequest
	Res ContextResponse

	log func(stream string, values []interface{})
}

// NewContext is for the server. Entries go to log, whose stream is "logs" or "errors".
func NewContext(request ContextRequest, body []byte, log func(stream string, values []interface{})) Context {
	request.body = body
	return Context{Req: request, log: log}
}

func (context *Context) Log(values ...interface{})   { context.log("logs", values) }
func (context *Context) Error(values ...interface{}) { context.log("errors", values) }

type ContextRequest struct {
	Method, Scheme, Host, Path, QueryString, Url string

	Port    int
	Query   map[string]string
	Headers map[string]string

	body []byte
}

func (request ContextRequest) BodyBinary() []byte { return request.body }
func (request ContextRequest) BodyText() string   { return string(request.body) }
func (request ContextRequest) BodyRaw() string    { return string(request.body) }

func (request ContextRequest) BodyJson(into interface{}) error {
	return json.Unmarshal(request.body, into)
}

// Body is what the content type says it is. An empty body of JSON is an empty object; what is no JSON is nil.
func (request ContextRequest) Body() interface{} {
	if !strings.HasPrefix(strings.ToLower(request.Headers["content-type"]), "application/json") {
		return request.BodyText()
	}
	if len(request.body) == 0 {
		return map[string]interface{}{}
	}
	var body interface{}
	_ = request.BodyJson(&body)
	return body
}

// Response is what the function returns. Of Body and Stream, the one that is there is sent.
type Response struct {
	Body       []byte
	Stream     io.Reader
	StatusCode int
	Headers    map[string]string
	// Repeated are headers that are sent once for each value, as Set-Cookie is.
	Repeated map[string][]string
}

type ResponseOption func(*Response)

type ContextResponse struct{}

func (ContextResponse) WithStatusCode(status int) ResponseOption {
	return func(response *Response) { response.StatusCode = status }
}

func (ContextResponse) WithHeaders(headers map[string]string) ResponseOption {
	return func(response *Response) {
		for name, value := range headers {
			response.Headers[name] = value
		}
	}
}

func (ContextResponse) WithRepeated(name string, values ...string) ResponseOption {
	return func(response *Response) { response.Repeated[name] = values }
}

func (ContextResponse) Binary(body []byte, options ...ResponseOption) Response {
	response := Response{
		Body:       body,
		StatusCode: 200,
		Headers:    map[string]string{},
		Repeated:   map[string][]string{},
	}
	for _, option := range options {
		option(&response)
	}
	return response
}

func (res ContextResponse) Text(body string, options ...ResponseOption) Response {
	return res.Binary([]byte(body), options...)
}

func (res ContextResponse) Send(body string, options ...ResponseOption) Response {
	return res.Text(body, options...)
}

// Stream sends what is read as soon as it is read.
func (res ContextResponse) Stream(body io.Reader, options ...ResponseOption) Response {
	response := res.Binary(nil, options...)
	response.Stream = body
	return response
}

func (res ContextResponse) Json(value interface{}, options ...ResponseOption) Response {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	response := res.Binary(body, options...)
	response.Headers["content-type"] = "application/json"
	return response
}

func (res ContextResponse) Empty() Response {
	return res.Binary(nil, res.WithStatusCode(204))
}

func (res ContextResponse) Redirect(url string, options ...ResponseOption) Response {
	response := res.Binary(nil, append([]ResponseOption{res.WithStatusCode(301)}, options...)...)
	response.Headers["location"] = url
	return response
}
