// Checks the test histories of the Porcupine module, and more files like its kv ones, with Porcupine itself, on one thread, and
// prints a line for each: file, verdict, CPU nanoseconds of the check alone; where there is more than one key, also how many keys
// it gave up on, and the nanoseconds, when every key is checked. The histories are parsed before. A check of a history or of a
// key that takes longer than the limit is given up as "Unknown".
//
// Usage: porcupine CORPUS SECONDS [FILE...]  (CORPUS: the module's test_data)
package main

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
)

type input struct {
	op       byte // r(ead), w(rite), c(as), a(ppend)
	key      string
	from, to int
	text     string
}

type output struct {
	value   int
	text    string
	ok      bool
	unknown bool
}

const none = -1000000

// A register of numbers. A compare-and-set that failed saw another value. (As in Porcupine's own test of these histories.)
var register = porcupine.Model{
	Init: func() interface{} { return none },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		now, asked, told := state.(int), in.(input), out.(output)
		switch asked.op {
		case 'r':
			return told.unknown || told.value == now, state
		case 'w':
			return true, asked.to
		}
		if now == asked.from {
			return told.unknown || told.ok, asked.to
		}
		return told.unknown || !told.ok, state
	},
}

// A text for each key: get, put, append.
var texts = porcupine.Model{
	PartitionEvent: func(history []porcupine.Event) [][]porcupine.Event {
		parts, keys := map[string][]porcupine.Event{}, map[int]string{}
		for _, event := range history {
			if event.Kind == porcupine.CallEvent {
				keys[event.Id] = event.Value.(input).key
			}
			parts[keys[event.Id]] = append(parts[keys[event.Id]], event)
		}
		var all [][]porcupine.Event
		for _, part := range parts {
			all = append(all, part)
		}
		return all
	},
	Init: func() interface{} { return "" },
	Step: func(state, in, out interface{}) (bool, interface{}) {
		asked := in.(input)
		switch asked.op {
		case 'r':
			told := out.(output)
			return told.unknown || told.text == state.(string), state
		case 'w':
			return true, asked.text
		}
		return true, state.(string) + asked.text
	},
	Hash: func(state interface{}) uint64 {
		hash := fnv.New64a()
		hash.Write([]byte(state.(string)))
		return hash.Sum64()
	},
}

var etcdLine = regexp.MustCompile(`^INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.*)$`)
var kvLine = regexp.MustCompile(`^\{:process (\d+), :type :(\w+), :f :(\w+), :key "(.*)", :value (.*)\}$`)

type reader struct {
	events []porcupine.Event
	open   map[string]int
	next   int
}

func (r *reader) call(process string, in input) {
	client, _ := strconv.Atoi(process)
	r.events = append(r.events, porcupine.Event{ClientId: client, Kind: porcupine.CallEvent, Value: in, Id: r.next})
	r.open[process] = r.next
	r.next++
}

func (r *reader) ret(process string, out output) {
	if id, ok := r.open[process]; ok {
		client, _ := strconv.Atoi(process)
		r.events = append(r.events, porcupine.Event{ClientId: client, Kind: porcupine.ReturnEvent, Value: out, Id: id})
		delete(r.open, process)
	}
}

func (r *reader) etcd(line string) {
	m := etcdLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	var numbers []int
	for _, field := range strings.Fields(strings.Trim(m[4], "[]")) {
		number, err := strconv.Atoi(field)
		if err != nil {
			number = none
		}
		numbers = append(numbers, number)
	}
	switch {
	case m[2] == "invoke" && m[3] == "read":
		r.call(m[1], input{op: 'r'})
	case m[2] == "invoke" && m[3] == "write":
		r.call(m[1], input{op: 'w', to: numbers[0]})
	case m[2] == "invoke":
		r.call(m[1], input{op: 'c', from: numbers[0], to: numbers[1]})
	case m[2] == "ok" && m[3] == "read":
		r.ret(m[1], output{value: numbers[0]})
	case m[2] == "ok" || m[2] == "fail" && m[3] == "cas":
		r.ret(m[1], output{ok: m[2] == "ok"})
	case m[2] == "fail":
		r.ret(m[1], output{unknown: true})
	}
}

func (r *reader) kv(line string) {
	m := kvLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	value := strings.Trim(m[5], `"`)
	if m[2] == "ok" {
		r.ret(m[1], output{text: value})
		return
	}
	op := map[string]byte{"get": 'r', "put": 'w', "append": 'a'}[m[3]]
	r.call(m[1], input{op: op, key: m[4], text: value})
}

func read(path string) []porcupine.Event {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	r := reader{open: map[string]int{}}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasSuffix(path, ".log") {
			r.etcd(line)
		} else {
			r.kv(line)
		}
	}
	// What never returned may have happened at any time: at the end at the latest.
	var rest []string
	for process := range r.open {
		rest = append(rest, process)
	}
	sort.Strings(rest)
	for _, process := range rest {
		r.ret(process, output{unknown: true})
	}
	return r.events
}

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	runtime.GOMAXPROCS(1)
	limit, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	files, _ := filepath.Glob(filepath.Join(os.Args[1], "jepsen", "*.log"))
	kv, _ := filepath.Glob(filepath.Join(os.Args[1], "kv", "*.txt"))
	files = append(append(files, kv...), os.Args[3:]...)
	for _, file := range files {
		model := texts
		if strings.HasSuffix(file, ".log") {
			model = register
		}
		events := read(file)
		if len(events) == 0 {
			continue
		}
		runtime.GC()
		before := cpu()
		verdict := porcupine.CheckEventsTimeout(model, events, time.Duration(limit)*time.Second)
		fmt.Print(filepath.Base(file), " ", verdict, " ", (cpu() - before).Nanoseconds())
		if model.PartitionEvent != nil {
			unknown := 0
			before = cpu()
			for _, part := range model.PartitionEvent(events) {
				if porcupine.CheckEventsTimeout(model, part, time.Duration(limit)*time.Second) == porcupine.Unknown {
					unknown++
				}
			}
			fmt.Print(" ", unknown, " ", (cpu() - before).Nanoseconds())
		}
		fmt.Println()
	}
}
