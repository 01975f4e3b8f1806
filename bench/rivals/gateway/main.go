// Command gateway takes signed webhooks of YCloud and answers 200 once Kafka has them: what one would write in Go instead of the
// role `receive`, close to the limit of net/http and franz-go.
//
// It does less than the role. It has one endpoint, whose token and secret are arguments, so nothing is looked up and nothing
// changes while it runs; a body of several events gets the key of its first; the record is the body itself, not an Avro record.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	address = flag.String("address", "", "host:port to listen on")
	broker  = flag.String("broker", "", "host:port of Kafka")
	topic   = flag.String("topic", "", "where the records go")
	tenant  = flag.String("tenant", "", "whose the endpoint is")
	token   = flag.String("token", "", "the endpoint's")
	secret  = flag.String("secret", "", "the endpoint's")
)

const (
	maxBody   = 1 << 20
	tolerance = 5 * time.Minute
)

// event is what must be known of a body: the id of its message.
type event struct {
	ID      string `json:"id"`
	Message struct {
		WAMID string `json:"wamid"`
	} `json:"whatsappInboundMessage"`
}

func main() {
	flag.Parse()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(*broker),
		kgo.DefaultProduceTopic(*topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotence is the client's default
		kgo.ProducerLinger(2*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MaxBufferedRecords(100_000),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	http.HandleFunc("GET /readyz", func(answer http.ResponseWriter, request *http.Request) {
		if err := client.Ping(request.Context()); err != nil {
			http.Error(answer, "Kafka does not answer", http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("POST /webhooks/ycloud/{token}", func(answer http.ResponseWriter, request *http.Request) {
		status := take(client, answer, request)
		if status != http.StatusOK {
			http.Error(answer, http.StatusText(status), status)
		}
	})
	log.Fatal(http.ListenAndServe(*address, nil))
}

func take(client *kgo.Client, answer http.ResponseWriter, request *http.Request) int {
	if request.PathValue("token") != *token {
		return http.StatusNotFound
	}
	body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, maxBody))
	if err != nil {
		return http.StatusRequestEntityTooLarge
	}
	if !signed(request.Header.Get("YCloud-Signature"), body) {
		return http.StatusUnauthorized
	}
	var found event
	if err := json.Unmarshal(body, &found); err != nil {
		return http.StatusBadRequest
	}
	id := found.Message.WAMID
	if id == "" {
		id = found.ID
	}
	record := &kgo.Record{
		Key:   []byte(*tenant + ":ycloud:" + id),
		Value: body,
		Headers: []kgo.RecordHeader{
			{Key: "tenant", Value: []byte(*tenant)},
			{Key: "provider", Value: []byte("ycloud")},
			{Key: "traceparent", Value: traceparent()},
		},
	}
	if client.ProduceSync(request.Context(), record).FirstErr() != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// signed says whether the header is `t=<seconds>,s=<hex>` over `<seconds>.<body>`, not older than the tolerance.
func signed(header string, body []byte) bool {
	stamp, sum, found := strings.Cut(strings.TrimPrefix(header, "t="), ",s=")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if !found || err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	want, err := hex.DecodeString(sum)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(*secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return hmac.Equal(want, mac.Sum(nil))
}

func traceparent() []byte {
	return fmt.Appendf(nil, "00-%016x%016x-%016x-01", rand.Uint64(), rand.Uint64(), rand.Uint64())
}
