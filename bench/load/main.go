// Command load posts signed webhooks over keep-alive connections, as fast as they are answered or at an even pace, and prints what
// that gave as JSON.
//
// It speaks just enough HTTP/1.1 for that: requests are made beforehand, of an answer only status and length are read. So it
// costs a fraction of what the server costs, and is not what is measured.
package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	address     = flag.String("address", "", "host:port")
	path        = flag.String("path", "", "of the endpoint; of several, with commas between them, the requests take turns by their number")
	secret      = flag.String("secret", "", "the endpoint's; empty: unsigned; as many as paths")
	template    = flag.String("body", "", "a file: the body, with ID_HERE and CALLER_HERE where each message has its own")
	connections = flag.Int("connections", 64, "")
	warming     = flag.Duration("warming", time.Second, "what is not counted")
	measuring   = flag.Duration("measuring", 3*time.Second, "what is")
	perSecond   = flag.Int("per-second", 0, "an even pace instead of as fast as it goes")
	count       = flag.Int("count", 8192, "different requests; at an even pace each goes once")
	first       = flag.Int("first", 0, "the number of the first one")
	times       = flag.String("times", "", "a file: what an even pace found")
)

const callers = 2000

type result struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Longest   float64 `json:"longest_ms"`
	Answered  int64   `json:"answered"` // in all, with those that are not counted
	Refused   int64   `json:"refused"`
}

func main() {
	flag.Parse()
	requests := prepare()
	if *perSecond > 0 {
		paced(requests)
		return
	}
	var counting, ending atomic.Bool
	var refused, next atomic.Int64
	took := make([][]time.Duration, *connections)
	var clients sync.WaitGroup
	for client := range took {
		clients.Add(1)
		go func(client int) {
			defer clients.Done()
			connection, err := net.Dial("tcp", *address)
			if err != nil {
				log.Fatal(err)
			}
			defer connection.Close()
			answers := bufio.NewReader(connection)
			for !ending.Load() {
				began := time.Now()
				if _, err := connection.Write(requests[next.Add(1)%int64(*count)]); err != nil {
					log.Fatal(err)
				}
				status, err := read(answers)
				if err != nil {
					log.Fatal(err)
				}
				if status != 200 {
					refused.Add(1)
				}
				if counting.Load() {
					took[client] = append(took[client], time.Since(began))
				}
			}
		}(client)
	}
	time.Sleep(*warming)
	counting.Store(true)
	began := time.Now()
	time.Sleep(*measuring)
	counting.Store(false)
	seconds := time.Since(began).Seconds()
	ending.Store(true)
	clients.Wait()

	var all []time.Duration
	for _, one := range took {
		all = append(all, one...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	json.NewEncoder(os.Stdout).Encode(result{
		PerSecond: float64(len(all)) / seconds,
		P50:       at(all, 0.5),
		P99:       at(all, 0.99),
		Longest:   at(all, 1),
		Answered:  next.Load(),
		Refused:   refused.Load(),
	})
}

// prepare makes the requests, each with an id and a signature of its own. The time they are signed for is now.
func prepare() [][]byte {
	text, err := os.ReadFile(*template)
	if err != nil {
		log.Fatal(err)
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	requests := make([][]byte, *count)
	paths, secrets := strings.Split(*path, ","), strings.Split(*secret, ",")
	if len(paths) != len(secrets) {
		log.Fatal("as many secrets as paths, please")
	}
	for number := range requests {
		id := *first + number
		body := bytes.ReplaceAll(text, []byte("ID_HERE"), fmt.Appendf(nil, "%020d", id))
		body = bytes.ReplaceAll(body, []byte("CALLER_HERE"), fmt.Appendf(nil, "%04d", id%callers))
		signature, turn := "", id%len(paths)
		if secrets[turn] != "" {
			mac := hmac.New(sha256.New, []byte(secrets[turn]))
			mac.Write([]byte(stamp + "."))
			mac.Write(body)
			signature = "YCloud-Signature: t=" + stamp + ",s=" + hex.EncodeToString(mac.Sum(nil)) + "\r\n"
		}
		requests[number] = []byte(fmt.Sprintf(
			"POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nUser-Agent: provider/1.0\r\n%sContent-Length: %d\r\n\r\n%s",
			paths[turn], *address, signature, len(body), body))
	}
	return requests
}

// read takes one answer with a Content-Length from the connection and gives its status.
func read(answers *bufio.Reader) (int, error) {
	line, err := answers.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, err
	}
	length := 0
	for {
		line, err = answers.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, _ := strings.Cut(string(line), ":"); strings.EqualFold(name, "content-length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return 0, err
			}
		}
	}
	_, err = io.CopyN(io.Discard, answers, int64(length))
	return status, err
}

func at(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[min(len(sorted)-1, int(float64(len(sorted))*share))].Microseconds()) / 1000
}
