package api

import (
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/musterhq/muster/rpc/rest"
)

// pagesOnly is what every answer tells a browser unless it is a page of the dashboard: nothing in it is to be run,
// loaded or framed. Logs and results are other people's words.
const pagesOnly = "default-src 'none'; frame-ancestors 'none'"

// exposedHeaders are those of an answer that the page of another coordinator may read.
var exposedHeaders = strings.Join([]string{rest.HeaderIndex, rest.HeaderAge, rest.HeaderAttempt, "Retry-After"}, ", ")

// setPageHeaders says how a browser treats an answer.
func setPageHeaders(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", pagesOnly)
	h.Set("Cache-Control", "no-store")
}

// dropPageHeaders takes out of a leader's answer what the coordinator that passes it on has set itself.
func dropPageHeaders(h http.Header) {
	own := http.Header{}
	setPageHeaders(own)
	for name := range own {
		h.Del(name)
	}
}

// dropPageOf takes out of a call that is forwarded which page sent it: this node has judged that, and to the leader its
// own address would look like that of a stranger.
func dropPageOf(h http.Header) {
	for _, name := range []string{"Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"} {
		h.Del(name)
	}
}

// guardPages decides what the pages that a browser shows may ask for. Programs send none of the headers that it looks at.
//
//   - A page of this coordinator may do anything.
//   - A page of another coordinator of this cluster too: so an open dashboard outlives the coordinator it came from.
//   - A page of anyone else may change nothing, and cannot read what it is answered.
//   - A page whose own name was made to mean this machine (DNS rebinding) is refused, when only this machine is served.
func (s *Server) guardPages(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, problem(rest.CodeCrossOrigin, "a page of another site sent this; muster takes changes only from its own pages and from programs"))
	}))
	strangers := protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setPageHeaders(w.Header())
		if browses(r) && !s.goesBy(hostname(r.Host)) {
			s.fail(w, r, problem(rest.CodeCrossOrigin,
				"%.80q is not a name of this coordinator, which serves this machine only: use 127.0.0.1 or localhost (a proxy in front must send that as Host)", r.Host))
			return
		}
		origin := r.Header.Get("Origin")
		if origin == "" || !s.sister(origin) {
			strangers.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", exposedHeaders)
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Add("Vary", "Origin")
		next.ServeHTTP(w, r)
	})
}

// sister says whether an origin is that of a coordinator of this cluster.
func (s *Server) sister(origin string) bool {
	_, address, ok := strings.Cut(origin, "://")
	if !ok {
		return false // "null" is that of a sandboxed page
	}
	for _, known := range s.pageAddresses() {
		if address == known {
			return true
		}
	}
	return false
}

// plainAddress is a host:port of letters that mean nothing in a header.
var plainAddress = regexp.MustCompile(`^[a-zA-Z0-9.\[\]:_-]+$`)

// pageAddresses are the host:port at which browsers find the dashboards of this cluster.
func (s *Server) pageAddresses() (list []string) {
	for _, srv := range s.tasker.Servers() {
		host, port, err := net.SplitHostPort(srv.HTTP)
		if err != nil || !plainAddress.MatchString(srv.HTTP) {
			continue // not known yet, or nothing that may stand in a header
		}
		list = append(list, srv.HTTP)
		if onlyHere(host) && host != localhost {
			list = append(list, net.JoinHostPort(localhost, port))
		}
	}
	return list
}

const localhost = "localhost"

// onlyHere says whether a host is this machine and is reached from nowhere else.
func onlyHere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == localhost
}

// browses says whether a browser sent the call. A page can change some of what its browser sends, and cannot have it leave
// out its languages.
func browses(r *http.Request) bool {
	_, languages := r.Header["Accept-Language"]
	return languages || strings.HasPrefix(r.UserAgent(), "Mozilla/")
}

// goesBy says whether a browser may call this coordinator by that name.
func (s *Server) goesBy(host string) bool {
	if !onlyHere(hostname(s.self().HTTP)) || host == "" || host == localhost || strings.HasSuffix(host, "."+localhost) {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	for _, known := range s.pageAddresses() {
		if hostname(known) == host {
			return true
		}
	}
	return false
}

// hostname is the host of a host:port, lower case and without brackets.
func hostname(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
