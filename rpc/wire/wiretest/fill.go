// Package wiretest helps tests that must not miss a field of a message.
package wiretest

import (
	"fmt"
	"reflect"
	"time"
)

// Fill sets every exported field beneath the pointer p, lists included, to a value that is not zero and differs from the others
// where its type has room for that.
func Fill(p any) {
	n := 0
	fill(reflect.ValueOf(p).Elem(), &n)
}

// Zeros names every exported field beneath p that is zero; a list without elements counts as zero.
func Zeros(p any) []string {
	v := reflect.Indirect(reflect.ValueOf(p))
	var found []string
	zeros(v, v.Type().Name(), &found)
	return found
}

const (
	listLen   = 2
	smallMask = 3 // small integers may be enumerations that cross in two bits
)

func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(int64(1_700_000_000+*n), int64(*n)).UTC()))
		return
	case []byte:
		v.SetBytes([]byte(fmt.Sprintf("b%d", *n)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), listLen, listLen))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(fmt.Sprintf("s%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int8, reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n%100 + 1))
	case reflect.Uint8:
		v.SetUint(uint64(*n%smallMask + 1))
	case reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	default:
		panic(fmt.Sprintf("wiretest: no value for a %s", v.Type()))
	}
}

func zeros(v reflect.Value, at string, found *[]string) {
	if v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 {
		*found = append(*found, at)
		return
	}
	if _, isTime := v.Interface().(time.Time); isTime {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				zeros(v.Field(i), at+"."+f.Name, found)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			zeros(v.Index(i), fmt.Sprintf("%s[%d]", at, i), found)
		}
	case reflect.Pointer:
		zeros(v.Elem(), at, found)
	}
}
