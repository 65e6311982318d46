//go:build !linux

package harness

import "errors"

// namespace stands in for what only Linux has.
type namespace struct{}

var errNoNamespaces = errors.New("network namespaces are Linux's")

func newNamespace() (*namespace, error)               { return nil, errNoNamespaces }
func home() (*namespace, error)                       { return nil, errNoNamespaces }
func (*namespace) path() string                       { return "" }
func (*namespace) enter() error                       { return errNoNamespaces }
func (*namespace) do(func() error) error              { return errNoNamespaces }
func (*namespace) run(_, _ string, _ ...string) error { return errNoNamespaces }
func (*namespace) close()                             {}
