package fsm

import (
	"fmt"
	"reflect"
	"unsafe"
)

// every lists one of each command. TestEveryCommandIsListed finds what is missing.
func every() []Command {
	return []Command{
		OpenSession{}, CloseSession{}, SubmitRequest{}, CancelRequest{}, RetryRequest{}, JoinWorker{}, LeaveWorker{},
		DrainWorker{}, PickJobs{}, JobStates{}, Progress{}, ReassignWorker{}, Tick{}, SetLimits{},
		PauseRequest{}, ResumeRequest{}, BeginSubmit{}, SubmitPart{}, CommitSubmit{}, DropSubmit{},
		BeginRestore{}, RestorePart{}, CommitRestore{}, DropRestore{},
	}
}

// filled is c with every field other than zero, each with a value of its own.
func filled(c Command) Command {
	v := reflect.New(reflect.TypeOf(c)).Elem()
	n := 0
	fill(v, &n)
	return v.Interface().(Command)
}

// fill gives v and all that is in it values other than zero. Lists get two items. Fields that are not exported are
// left alone: they are derived.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *n))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(-int64(1 + *n%100)) // a sign is easily lost
	case reflect.Uint8:
		v.SetUint(uint64(1 + *n%3)) // enumerations and percents: within every range
	case reflect.Uint32:
		v.SetUint(1<<31 + uint64(*n)) // the upper bits are easily lost
	case reflect.Uint64:
		v.SetUint(1<<63 + uint64(*n))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	default:
		panic(fmt.Sprintf("fill: a field of kind %s: teach it", v.Kind()))
	}
	if v.IsZero() {
		panic(fmt.Sprintf("fill: %s stayed zero", v.Type()))
	}
}

// field is the named field of the struct that p points to, to be set even though it is not exported.
func field(p any, name string) reflect.Value {
	f := reflect.ValueOf(p).Elem().FieldByName(name)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// bump changes a value that is a number, a string, a flag, a stamp or a list to another.
func bump(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() ^ 1)
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Struct:
		bump(reflect.NewAt(v.Field(0).Type(), unsafe.Pointer(v.Field(0).UnsafeAddr())).Elem())
	default:
		panic(fmt.Sprintf("bump: a field of kind %s: teach it", v.Kind()))
	}
}
