// Package browser tries the dashboard as people have it: Chromium, on the pages that coordinators serve, with real
// processes behind them (testing/harness).
//
//	cd testing/browser && go test ./...                    # skips without a Chromium
//	MUSTER_TEST_SHOTS=shots go test -run TestPages ./...   # keeps a picture of each page
//
// It is a module of its own: what drives the browser is no dependency of muster.
//
// # Environment
//
//	MUSTER_CHROMIUM    the browser; empty: chromium, chromium-browser or google-chrome of PATH
//	MUSTER_TEST_SHOTS  a directory that keeps pictures; empty: none are made
//
// and that of testing/harness.
package browser
