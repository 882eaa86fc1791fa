// franz-go at listeners with TLS and SASL: see ../README.md.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

type door struct {
	Name, Bootstrap, Topic, Ca, Certificate, Mechanism, User, Password string
	Refused                                                            bool
}

func (one door) options() []kgo.Opt {
	options := []kgo.Opt{kgo.SeedBrokers(one.Bootstrap)}
	if one.Ca != "" {
		pem, err := os.ReadFile(one.Ca)
		check(err)
		config := &tls.Config{RootCAs: x509.NewCertPool()}
		config.RootCAs.AppendCertsFromPEM(pem)
		if one.Certificate != "" {
			pair, err := tls.LoadX509KeyPair(one.Certificate, one.Certificate)
			check(err)
			config.Certificates = []tls.Certificate{pair}
		}
		options = append(options, kgo.DialTLSConfig(config))
	}
	login := scram.Auth{User: one.User, Pass: one.Password}
	switch one.Mechanism {
	case "PLAIN":
		options = append(options, kgo.SASL(plain.Auth{User: one.User, Pass: one.Password}.AsMechanism()))
	case "SCRAM-SHA-256":
		options = append(options, kgo.SASL(login.AsSha256Mechanism()))
	case "SCRAM-SHA-512":
		options = append(options, kgo.SASL(login.AsSha512Mechanism()))
	}
	return options
}

func (one door) through() []string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	const count = 10
	partition := map[string]map[int32]kgo.Offset{one.Topic: {0: kgo.NewOffset().AtStart()}}
	options := append(one.options(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumePartitions(partition))
	client, err := kgo.NewClient(options...)
	check(err)
	defer client.Close()
	if one.Refused {
		err := client.Ping(ctx)
		return []string{fmt.Sprint(err)}
	}
	for number := range count {
		record := &kgo.Record{Topic: one.Topic, Value: fmt.Appendf(nil, "franz-go %d", number)}
		check(client.ProduceSync(ctx, record).FirstErr())
	}
	values := []string{}
	for len(values) < count {
		fetches := client.PollFetches(ctx)
		check(fetches.Err0())
		fetches.EachRecord(func(record *kgo.Record) {
			if strings.HasPrefix(string(record.Value), "franz-go") {
				values = append(values, string(record.Value))
			}
		})
	}
	return values
}

func doors() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var one door
		check(json.Unmarshal(lines.Bytes(), &one))
		write(map[string]any{"door": one.Name, "values": one.through()})
	}
}
