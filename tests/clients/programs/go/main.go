// franz-go as the tests drive it: `produce BOOTSTRAP TOPIC RATE` prints `acked VALUE OFFSET` or `failed VALUE WHY` until
// stdin ends; `consume BOOTSTRAP TOPIC COUNT` prints `OFFSET VALUE`.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	arguments := os.Args[1:]
	switch arguments[0] {
	case "produce":
		rate, err := strconv.Atoi(arguments[3])
		check(err)
		produce(arguments[1], arguments[2], rate, out)
	case "consume":
		count, err := strconv.Atoi(arguments[3])
		check(err)
		consume(arguments[1], arguments[2], count, out)
	default:
		panic("produce or consume")
	}
}

// Idempotent, which is franz-go's default.
func produce(bootstrap, topic string, rate int, out *bufio.Writer) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...),
		kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProduceRequestTimeout(requestTimeout),
		kgo.RequestTimeoutOverhead(requestTimeout),
		kgo.ConnIdleTimeout(time.Minute),
		kgo.MetadataMinAge(100*time.Millisecond),
		kgo.AllowAutoTopicCreation(),
		// Relays accept and close where a node that is down would refuse.
		kgo.AlwaysRetryEOF(),
	)
	check(err)
	over := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	told := make(chan string, 1<<16)
	go func() {
		// One goroutine prints, so that a line is a line and is seen at once.
		for line := range told {
			fmt.Fprintln(out, line)
			if len(told) == 0 {
				out.Flush()
			}
		}
		out.Flush()
		close(printed)
	}()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	for value := 0; ; value++ {
		select {
		case <-over:
			check(client.Flush(context.Background()))
			close(told)
			<-printed
			client.Close()
			return
		case <-tick.C:
		}
		text := strconv.Itoa(value)
		client.Produce(context.Background(), &kgo.Record{Value: []byte(text)}, func(record *kgo.Record, err error) {
			if err != nil {
				told <- fmt.Sprintf("failed %s %v", text, err)
				return
			}
			told <- fmt.Sprintf("acked %s %d", text, record.Offset)
		})
	}
}

func consume(bootstrap, topic string, count int, out *bufio.Writer) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
	)
	check(err)
	defer client.Close()
	for read := 0; read < count; {
		fetches := client.PollFetches(context.Background())
		for _, failed := range fetches.Errors() {
			check(failed.Err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			if read++; read <= count {
				fmt.Fprintf(out, "%d %s\n", record.Offset, record.Value)
			}
		})
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const requestTimeout = 1500 * time.Millisecond

var printed = make(chan struct{})
