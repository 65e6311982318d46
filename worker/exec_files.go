package worker

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// exchangeFile is one of the files by which a job and its worker talk.
type exchangeFile struct{ name, variable string }

const (
	inputFile    = "input.json"
	resultFile   = "result"
	progressFile = "progress"
	errorFile    = "error"
)

var exchangeFiles = []exchangeFile{
	{inputFile, "MUSTER_INPUT"},
	{resultFile, "MUSTER_RESULT"},
	{progressFile, "MUSTER_PROGRESS"},
	{errorFile, "MUSTER_ERROR"},
}

const (
	// errorBytesMax is how much of $MUSTER_ERROR, or of the last lines of standard error, is kept with the outcome.
	errorBytesMax = 4 << 10
	// complaintLines is how many last lines of standard error explain a failure.
	complaintLines = 3
)

// jobInput is the content of $MUSTER_INPUT.
func jobInput(job Job) []byte {
	b := append([]byte(nil), `{"payload":`...)
	if len(job.Payload) > 0 {
		b = append(b, job.Payload...)
	} else {
		b = append(b, "null"...)
	}
	b = append(b, `,"parents":{`...)
	for i, p := range job.parents {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, p.Name)
		b = append(b, ':')
		b = appendResult(b, Result{data: p.Result, json: p.JSON})
	}
	return append(b, "}}\n"...)
}

func appendResult(b []byte, r Result) []byte {
	switch {
	case r.json:
		return append(b, r.data...)
	case r.data == nil:
		return append(b, "null"...)
	case utf8.Valid(r.data):
		return appendJSON(b, string(r.data))
	default:
		b = append(b, `{"base64":"`...)
		return append(base64.StdEncoding.AppendEncode(b, r.data), `"}`...)
	}
}

func appendJSON(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // a string always encodes
	return append(b, quoted...)
}

// result is what the job left in $MUSTER_RESULT.
func (a *attemptDir) result() (Result, error) {
	data, more, err := a.read(resultFile, ResultBytesMax)
	switch {
	case err != nil:
		return None, fmt.Errorf("read $MUSTER_RESULT: %w", err)
	case more:
		return None, fmt.Errorf("$MUSTER_RESULT is larger than %d bytes: hand on large data by reference", ResultBytesMax)
	case len(data) == 0:
		return None, nil
	}
	if trimmed := bytes.TrimSpace(data); json.Valid(trimmed) {
		return Result{data: trimmed, json: true}, nil
	}
	return Bytes(data), nil
}

// message is what the job left in $MUSTER_ERROR.
func (a *attemptDir) message() string {
	data, _, err := a.read(errorFile, errorBytesMax)
	if err != nil {
		return "" // the exit code speaks then
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(data), "�"))
}

// complaint is the last lines of standard error.
func (a *attemptDir) complaint() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(a.logs[stderrStream].last(errorBytesMax)), "�"))
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-complaintLines):], "\n")
}

// read reads at most limit bytes of a regular file that the job left; more says that it has more.
func (a *attemptDir) read(name string, limit int64) (data []byte, more bool, err error) {
	f, err := a.exchange.open(name)
	if err != nil {
		return nil, false, ignoreMissing(err)
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if int64(len(data)) > limit {
		return data[:limit], true, err
	}
	return data, false, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
