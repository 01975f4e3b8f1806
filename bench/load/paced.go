package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// paced posts each request at its time, whether those before it are answered or not, over connections that are free. It writes a
// line for each: its number, when it should have gone and when it was answered, in nanoseconds since 1970.
func paced(requests [][]byte) {
	type client struct {
		connection net.Conn
		answers    *bufio.Reader
	}
	free := make(chan client, *connections)
	for range *connections {
		connection, err := net.Dial("tcp", *address)
		if err != nil {
			log.Fatal(err)
		}
		free <- client{connection, bufio.NewReader(connection)}
	}
	var refused atomic.Int64
	answered := make([]time.Time, len(requests))
	due := make([]time.Time, len(requests))
	began := time.Now()
	for number, request := range requests {
		due[number] = began.Add(time.Duration(number) * time.Second / time.Duration(*perSecond))
		time.Sleep(time.Until(due[number]))
		one := <-free
		go func() {
			if _, err := one.connection.Write(request); err != nil {
				log.Fatal(err)
			}
			status, err := read(one.answers)
			if err != nil {
				log.Fatal(err)
			}
			if status != 200 {
				refused.Add(1)
			}
			answered[number] = time.Now()
			free <- one
		}()
	}
	for range *connections {
		<-free
	}
	file, err := os.Create(*times)
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewWriter(file)
	for number := range requests {
		fmt.Fprintln(lines, *first+number, due[number].UnixNano(), answered[number].UnixNano())
	}
	if err := lines.Flush(); err != nil {
		log.Fatal(err)
	}
	json.NewEncoder(os.Stdout).Encode(result{Answered: int64(len(requests)), Refused: refused.Load()})
}
