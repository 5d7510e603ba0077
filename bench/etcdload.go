// The generator for etcd: its own client over gRPC, a client for each connection, one put of each at
// a time.  Prints what loadgen prints.  Built by etcd.py from Debian's Go packages.
//
//	etcdload load --endpoints host:port,... [--connections N] [--ops N] [--keys N]
//	              [--value-size N] [--seed N]
//	    puts, clients spread over the endpoints, random keys; one line of JSON.  An error ends it.
//	etcdload probe --endpoints host:port,... [--every MS]
//	    offers a put to each endpoint every MS milliseconds, and prints for each that succeeds when
//	    it began and ended, in nanoseconds since the epoch; until standard input ends.
//	etcdload leader --endpoints host:port,...
//	    prints the endpoint that leads.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/grpc/grpclog"
)

const (
	keySize     = 16
	dialTimeout = 10 * time.Second
	probeWait   = 5 * time.Second
	stuckWait   = time.Minute
)

var (
	endpoints   = flag.String("endpoints", "127.0.0.1:2379", "")
	connections = flag.Int("connections", 50, "")
	ops         = flag.Int("ops", 10000, "")
	keys        = flag.Int("keys", 100000, "")
	valueSize   = flag.Int("value-size", 64, "")
	seed        = flag.Int64("seed", 1, "")
	every       = flag.Int("every", 20, "")
)

func die(err error) {
	fmt.Fprintln(os.Stderr, "etcdload:", err)
	os.Exit(1)
}

func dial(endpoint string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint},
		DialTimeout: dialTimeout})
	if err != nil {
		die(err)
	}
	return client
}

func key(n int) string {
	return fmt.Sprintf("k%0*d", keySize-1, n)
}

func value() string {
	bytes := make([]byte, *valueSize)
	for i := range bytes {
		bytes[i] = byte('!' + i*31%90)
	}
	return string(bytes)
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		die(err)
	}
	return float64(usage.Utime.Sec+usage.Stime.Sec) +
		float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}

// put runs one client until all operations have started; it returns how long each took.
func put(client *clientv3.Client, started *int64, random *rand.Rand, text string) []time.Duration {
	var took []time.Duration
	for atomic.AddInt64(started, 1) <= int64(*ops) {
		ctx, cancel := context.WithTimeout(context.Background(), stuckWait)
		begin := time.Now()
		if _, err := client.Put(ctx, key(random.Intn(*keys)), text); err != nil {
			die(err)
		}
		took = append(took, time.Since(begin))
		cancel()
	}
	return took
}

func load(targets []string) {
	clients := make([]*clientv3.Client, *connections)
	for i := range clients {
		clients[i] = dial(targets[i%len(targets)])
		if _, err := clients[i].Get(context.Background(), "ready"); err != nil { // connected
			die(err)
		}
	}
	text, started := value(), int64(0)
	took := make([][]time.Duration, len(clients))
	var group sync.WaitGroup
	cpu, begin := cpuSeconds(), time.Now()
	for i, client := range clients {
		group.Add(1)
		go func(i int, client *clientv3.Client) {
			defer group.Done()
			took[i] = put(client, &started, rand.New(rand.NewSource(*seed<<16+int64(i))), text)
		}(i, client)
	}
	group.Wait()
	seconds := time.Since(begin).Seconds()
	cpu = cpuSeconds() - cpu
	report(took, seconds, cpu)
}

func report(took [][]time.Duration, seconds, cpu float64) {
	var all []time.Duration
	for _, some := range took {
		all = append(all, some...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(percent float64) float64 {
		return float64(all[int(float64(len(all)-1)*percent/100)].Nanoseconds()) / 1000
	}
	fmt.Printf("{\"ops\": %d, \"seconds\": %.6f, \"ops_per_second\": %.1f, \"generator_cpu\": %.4f, "+
		"\"set_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}}\n",
		len(all), seconds, float64(len(all))/seconds, cpu/seconds,
		at(50), at(90), at(99), at(99.9), at(100))
}

func probe(targets []string) {
	clients := make([]*clientv3.Client, len(targets))
	for i, target := range targets {
		clients[i] = dial(target)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	var out sync.Mutex
	writer := bufio.NewWriter(os.Stdout)
	for n := 0; ; n++ {
		for i := range clients {
			go func(client *clientv3.Client, target string) {
				ctx, cancel := context.WithTimeout(context.Background(), probeWait)
				defer cancel()
				begin := time.Now()
				_, err := client.Put(ctx, "probe", "x")
				end := time.Now()
				if err == nil {
					out.Lock()
					fmt.Fprintln(writer, begin.UnixNano(), end.UnixNano(), target)
					writer.Flush()
					out.Unlock()
				}
			}(clients[i], targets[i])
		}
		time.Sleep(time.Duration(*every) * time.Millisecond)
	}
}

func leader(targets []string) {
	for _, target := range targets {
		client := dial(target)
		ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
		status, err := client.Status(ctx, target)
		cancel()
		if err == nil && status.Leader != 0 && status.Leader == status.Header.MemberId {
			fmt.Println(target)
			return
		}
	}
	die(fmt.Errorf("no endpoint leads"))
}

func main() {
	modes := map[string]func([]string){"load": load, "probe": probe, "leader": leader}
	if len(os.Args) < 2 || modes[os.Args[1]] == nil {
		die(fmt.Errorf("usage: etcdload load|probe|leader --endpoints host:port,..."))
	}
	if err := flag.CommandLine.Parse(os.Args[2:]); err != nil {
		die(err)
	}
	clientv3.SetLogger(grpclog.NewLoggerV2(io.Discard, io.Discard, os.Stderr))
	modes[os.Args[1]](strings.Split(*endpoints, ","))
}
