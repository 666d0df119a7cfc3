// What the table test asks for, by the header `x-action`: everfold/tests/runtimes.rs.
package handler

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/open-runtimes/types-for-go/v4/openruntimes"
)

type object = map[string]interface{}

func Main(Context openruntimes.Context) openruntimes.Response {
	req, res := Context.Req, Context.Res
	header := func(name, value string) openruntimes.ResponseOption {
		return res.WithHeaders(map[string]string{name: value})
	}
	switch req.Headers["x-action"] {
	case "request":
		return res.Json(object{"method": req.Method, "scheme": req.Scheme, "host": req.Host, "port": req.Port,
			"path": req.Path, "query": req.Query, "queryString": req.QueryString, "url": req.Url, "headers": req.Headers})
	case "text":
		return res.Text(req.BodyText())
	case "json":
		var body interface{}
		if err := req.BodyJson(&body); err != nil {
			panic(err)
		}
		return res.Json(object{"json": body})
	case "body":
		return res.Json(object{"body": req.Body(), "raw": req.BodyRaw()})
	case "binary":
		return res.Binary(req.BodyBinary())
	case "length":
		return res.Json(len(req.BodyBinary()))
	case "created":
		return res.Text("made", res.WithStatusCode(201), res.WithHeaders(map[string]string{
			"X-Upper": "Kept", "X-Open-Runtimes-Mine": "dropped", "Content-Length": "1"}))
	case "html":
		return res.Text("<p>", header("content-type", "TEXT/HTML"))
	case "charset":
		return res.Text("<p>", header("content-type", "text/html; charset=latin1"))
	case "multipart":
		return res.Text("--b--", header("content-type", "multipart/mixed; boundary=b"))
	case "cookies":
		return res.Text("", res.WithRepeated("set-cookie", "a=1", "b=2"))
	case "split":
		return res.Text("", header("x-one", "a\r\nx-two: b"))
	case "status":
		return res.Text("", res.WithStatusCode(1000))
	case "empty":
		return res.Empty()
	case "body204":
		return res.Text("not sent", res.WithStatusCode(204))
	case "redirect":
		return res.Redirect("https://everfold.test/there")
	case "redirect307":
		return res.Redirect("/there", res.WithStatusCode(307), header("x-why", "moved"))
	case "throw":
		panic("thrown on purpose")
	case "nothing":
		return openruntimes.Response{}
	case "sleep":
		time.Sleep(3 * time.Second)
		return res.Text("late")
	case "logs":
		Context.Log("plain", 1, true, object{"a": []int{1}})
		Context.Error("bad")
		Context.Error(errors.New("told"))
		return res.Text("logged")
	case "long":
		Context.Log(strings.Repeat("é", 8000))
		Context.Log(strings.Repeat("é", 8001))
		return res.Text("logged")
	case "concurrent":
		for _, part := range []string{"first", "second"} {
			Context.Log(req.BodyText() + " " + part)
			time.Sleep(200 * time.Millisecond)
		}
		return res.Text(req.BodyText())
	case "stream":
		reader, writer := io.Pipe()
		go func() {
			Context.Log("in the stream")
			_, _ = writer.Write([]byte("one,"))
			time.Sleep(time.Second)
			_, _ = writer.Write([]byte("two"))
			_ = writer.Close()
		}()
		return res.Stream(reader, header("content-type", "text/event-stream"))
	case "broken":
		reader, writer := io.Pipe()
		go func() {
			_, _ = writer.Write([]byte("1"))
			_ = writer.CloseWithError(errors.New("broken on purpose"))
		}()
		return res.Stream(reader)
	case "environment":
		all := object{}
		for _, pair := range os.Environ() {
			name, value, _ := strings.Cut(pair, "=")
			all[name] = value
		}
		return res.Json(object{"all": all})
	}
	return res.Text("Hello")
}
