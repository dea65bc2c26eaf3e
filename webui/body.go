package webui

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"eaves/capture"
	"eaves/capture/content"
)

// body serves a kept body. Whatever it is, a browser is told that it is bytes to save: nothing captured is ever shown by
// its own type, but for what the console asks for as a view that does no harm.
func (s *Server) body(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	values := r.URL.Query()
	decoded, err := boolean(values, "decoded")
	if err != nil {
		return err
	}
	show := views[values.Get("view")]
	if values.Has("view") && show == nil {
		return bad("view", "view is image, media, html or pdf")
	}
	side := capture.Side(r.vars["side"])
	x, err := s.cfg.Store.Get(r.Context(), id)
	if err != nil {
		return err
	}
	kept, err := s.cfg.Store.Body(r.Context(), id, side)
	if err != nil {
		return err
	}
	defer kept.Close()
	attached(w.Header(), fmt.Sprintf("eaves-%d-%s.bin", id, side))
	var plain io.ReadSeeker = kept
	header, cut := bodyOf(x, side)
	if (decoded || show != nil) && len(content.Codings(header)) > 0 {
		d := &decodedBody{ctx: r.Context(), kept: kept, header: header, cut: cut}
		defer d.Close()
		if err := d.check(); err != nil {
			return err
		}
		if r.Header.Get("Range") == "" && show == nil {
			// Its length is known only once it has been decoded, so it goes out without one.
			w.WriteHeader(http.StatusOK)
			if r.Method == http.MethodHead {
				return nil
			}
			_, err := io.Copy(w, d)
			return err
		}
		if part, ok := onePart(r.Header.Get("Range")); ok && show == nil {
			return d.servePart(w, r, part)
		}
		plain = d
	}
	if show != nil {
		return show(w, r, header, plain)
	}
	http.ServeContent(w, r.Request, "", time.Time{}, plain)
	return nil
}

// attached says of an answer that it is bytes to save, and that nothing in it is to act.
func attached(h http.Header, name string) {
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

// bodyOf is the header that one side's body came with, and whether the kept body may not be all of it.
func bodyOf(x *capture.Exchange, side capture.Side) (h capture.Header, cut bool) {
	if side == capture.SideRequest {
		return x.Request.Header, x.Request.Truncated || x.State != capture.StateDone
	}
	if x.Response == nil {
		return nil, false
	}
	return x.Response.Header, x.Response.Truncated || x.State != capture.StateDone
}

// servePart answers a request for a part near the beginning without decoding what is behind it.
func (d *decodedBody) servePart(w http.ResponseWriter, r *request, p part) error {
	if _, err := d.Seek(p.first, io.SeekStart); err != nil {
		return err
	}
	var buf bytes.Buffer
	// One byte more tells whether the end is near: the whole length is known only if it was met (RFC 9110, 14.4).
	// What came before a flaw is served; who asks for what is behind it is told of the flaw.
	if _, err := io.CopyN(&buf, d, p.last-p.first+2); err != nil && err != io.EOF && buf.Len() == 0 {
		return d.problem(err)
	}
	total := "*"
	if d.known {
		total = fmt.Sprint(d.length)
	}
	buf.Truncate(int(min(int64(buf.Len()), p.last-p.first+1)))
	h := w.Header()
	if buf.Len() == 0 {
		h.Set("Content-Range", "bytes */"+total)
		return problem{Status: http.StatusRequestedRangeNotSatisfiable, Parameter: "Range", Detail: "the body is shorter than that: " + total + " bytes"}
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%s", p.first, p.first+int64(buf.Len())-1, total))
	h.Set("Content-Length", fmt.Sprint(buf.Len()))
	w.WriteHeader(http.StatusPartialContent)
	if r.Method != http.MethodHead {
		_, _ = w.Write(buf.Bytes())
	}
	return nil
}

// part is a closed range.
type part struct{ first, last int64 }

// maxPart is the largest part that is gathered in memory.
const maxPart = 16 << 20

// onePart reads a range header that asks for one closed range of moderate size. Everything else is left to net/http.
func onePart(header string) (part, bool) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	from, errFrom := strconv.ParseUint(first, 10, 62)
	to, errTo := strconv.ParseUint(last, 10, 62)
	if !ok || !dash || errFrom != nil || errTo != nil || to < from || to-from >= maxPart {
		return part{}, false
	}
	return part{int64(from), int64(to)}, true
}
