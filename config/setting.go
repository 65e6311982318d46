package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one value of a Coordinator or a Worker, by name.
type Setting struct {
	Key   string // as in a file: raft.log_store
	value reflect.Value
}

// Settings lists the settings of a *Coordinator or a *Worker, in the order of their fields. Setting one changes cfg.
func Settings(cfg any) []Setting {
	return settingsOf(reflect.ValueOf(cfg).Elem(), "")
}

func settingsOf(v reflect.Value, prefix string) []Setting {
	var all []Setting
	for i := range v.NumField() {
		key := prefix + v.Type().Field(i).Tag.Get("yaml")
		if f := v.Field(i); f.Kind() == reflect.Struct {
			all = append(all, settingsOf(f, key+".")...)
		} else {
			all = append(all, Setting{key, f})
		}
	}
	return all
}

// Env is the setting's name in the environment, after a prefix such as MUSTER_WORKER_.
func (s Setting) Env() string {
	return strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Flag is the setting's name on the command line, without dashes in front.
func (s Setting) Flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key)
}

// Type says what the setting wants: text, number, duration, bool, list or pairs.
func (s Setting) Type() string {
	switch s.value.Interface().(type) {
	case time.Duration:
		return "duration"
	case string:
		return "text"
	case bool:
		return "bool"
	case []string:
		return "list"
	case map[string]string:
		return "pairs"
	}
	return "number"
}

// String is the setting's value as Set reads it.
func (s Setting) String() string {
	switch v := s.value.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case map[string]string:
		pairs := make([]string, 0, len(v))
		for k, val := range v {
			pairs = append(pairs, k+"="+val)
		}
		slices.Sort(pairs)
		return strings.Join(pairs, ",")
	case time.Duration:
		return v.String()
	}
	return fmt.Sprint(s.value.Interface())
}

// Set reads the value from text. Lists are separated by commas, pairs are key=value.
func (s Setting) Set(text string) error {
	switch p := s.value.Addr().Interface().(type) {
	case *[]string:
		*p = splitList(text)
		return nil
	case *map[string]string:
		pairs, err := splitPairs(splitList(text))
		if err == nil {
			*p = pairs
		}
		return err
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration: write a number and a unit, like 500ms, 30s or 10m", text)
		}
		*p = d
		return nil
	}
	return s.setPlain(text)
}

func (s Setting) setPlain(text string) error {
	switch s.value.Kind() {
	case reflect.String:
		s.value.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		s.value.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, s.value.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number in range", text)
		}
		s.value.SetInt(n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number in range", text)
		}
		s.value.SetUint(n)
	default:
		panic(fmt.Sprintf("config: setting %s has the unforeseen type %s", s.Key, s.value.Type()))
	}
	return nil
}

func splitList(text string) []string {
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

func splitPairs(list []string) (map[string]string, error) {
	pairs := make(map[string]string, len(list))
	for _, entry := range list {
		k, v, ok := strings.Cut(entry, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%q is not key=value", entry)
		}
		if _, twice := pairs[k]; twice {
			return nil, fmt.Errorf("%q is given twice", k)
		}
		pairs[k] = v
	}
	return pairs, nil
}
