// franz-go: see ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var printing sync.Mutex

func write(fields any) {
	printing.Lock()
	defer printing.Unlock()
	check(json.NewEncoder(os.Stdout).Encode(fields))
}

// record is what one line of output says of a record.
func record(from *kgo.Record) map[string]any {
	headers := make([][]any, 0, len(from.Headers))
	for _, header := range from.Headers {
		headers = append(headers, []any{header.Key, header.Value})
	}
	return map[string]any{"partition": from.Partition, "offset": from.Offset, "key": from.Key, "value": from.Value,
		"headers": headers, "timestamp": from.Timestamp.UnixMilli()}
}

func codec(name string) kgo.CompressionCodec {
	return map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[name]
}

// produce takes TOPIC CODEC pairs; a record that names no topic goes to the first.
func produce(bootstrap string, pairs []string) {
	batches := map[string][]*kgo.Record{}
	// What a topic takes by default, or the largest record with room for the batch around it.
	largest := 1_040_000
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		check(err)
		in := struct {
			Topic     string              `json:"topic"`
			Partition int32               `json:"partition"`
			Key       *[]byte             `json:"key"`
			Value     *[]byte             `json:"value"`
			Headers   [][]json.RawMessage `json:"headers"`
			Timestamp int64               `json:"timestamp"`
		}{Topic: pairs[0]}
		check(json.Unmarshal(line, &in))
		out := &kgo.Record{Topic: in.Topic, Partition: in.Partition, Timestamp: time.UnixMilli(in.Timestamp)}
		if in.Key != nil {
			out.Key = append([]byte{}, *in.Key...)
		}
		if in.Value != nil {
			out.Value = append([]byte{}, *in.Value...)
		}
		for _, pair := range in.Headers {
			var header kgo.RecordHeader
			check(json.Unmarshal(pair[0], &header.Key))
			check(json.Unmarshal(pair[1], &header.Value))
			out.Headers = append(out.Headers, header)
		}
		batches[in.Topic] = append(batches[in.Topic], out)
		largest = max(largest, len(out.Key)+len(out.Value)+10_000)
	}
	for at := 0; at < len(pairs); at += 2 {
		client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ProducerBatchCompression(codec(pairs[at+1])),
			kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(int32(largest)), kgo.ProducerLinger(20*time.Millisecond))
		check(err)
		check(client.ProduceSync(context.Background(), batches[pairs[at]]...).FirstErr())
		client.Close()
	}
}

// consume takes TOPIC COUNT pairs; where there are several, each line names its topic.
func consume(bootstrap string, pairs []string) {
	left, all, topics := map[string]int{}, 0, []string{}
	for at := 0; at < len(pairs); at += 2 {
		count, err := strconv.Atoi(pairs[at+1])
		check(err)
		left[pairs[at]] = count
		all += count
		topics = append(topics, pairs[at])
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxPartitionBytes(4_000_000))
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for all > 0 {
		fetches := client.PollFetches(ctx)
		check(fetches.Err0())
		fetches.EachRecord(func(one *kgo.Record) {
			if left[one.Topic] == 0 {
				return
			}
			left[one.Topic]--
			all--
			line := record(one)
			if len(topics) > 1 {
				line["topic"] = one.Topic
			}
			write(line)
		})
	}
	client.Close()
}

func group(bootstrap, topic, name string) {
	held := map[int32]bool{}
	changed := func(partitions []int32, holds bool) {
		for _, partition := range partitions {
			held[partition] = holds
		}
		now := []int32{}
		for partition, holds := range held {
			if holds {
				now = append(now, partition)
			}
		}
		sort.Slice(now, func(a, b int) bool { return now[a] < now[b] })
		write(map[string]any{"assigned": now})
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.ConsumeTopics(topic), kgo.ConsumerGroup(name),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, assigned map[string][]int32) { changed(assigned[topic], true) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, revoked map[string][]int32) { changed(revoked[topic], false) }))
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for ctx.Err() == nil {
		polled, stop := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := client.PollFetches(polled)
		stop()
		fetches.EachRecord(func(one *kgo.Record) {
			write(record(one))
			check(client.CommitRecords(context.Background(), one))
		})
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
}

func admin(bootstrap, topic string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	check(err)
	admin, ctx := kadm.NewClient(client), context.Background()
	count := func() int {
		listed, err := admin.ListTopics(ctx, topic)
		check(err)
		return len(listed[topic].Partitions)
	}
	created, err := admin.CreateTopics(ctx, 3, 1, nil, topic)
	check(err)
	check(created[topic].Err)
	write(map[string]any{"partitions": count()})
	minute := "60000"
	altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &minute}}, topic)
	check(err)
	check(altered[0].Err)
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	check(err)
	for _, config := range described[0].Configs {
		if config.Key == "retention.ms" {
			write(map[string]any{"retention": *config.Value})
		}
	}
	grown, err := admin.UpdatePartitions(ctx, 5, topic)
	check(err)
	check(grown[topic].Err)
	write(map[string]any{"partitions": count()})
	deleted, err := admin.DeleteTopics(ctx, topic)
	check(err)
	check(deleted[topic].Err)
	listed, err := admin.ListTopics(ctx)
	check(err)
	write(map[string]any{"gone": !listed.Has(topic)})
}

func main() {
	switch os.Args[1] {
	case "produce":
		produce(os.Args[2], os.Args[3:])
	case "consume":
		consume(os.Args[2], os.Args[3:])
	case "group":
		group(os.Args[2], os.Args[3], os.Args[4])
	case "admin":
		admin(os.Args[2], os.Args[3])
	case "doors":
		doors()
	}
}
