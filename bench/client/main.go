// Load sends the same GET many times at once and compares every body, byte by byte while it arrives, with a file.
// It prints one JSON line and exits non-zero when a body differs, so that a quick wrong server cannot win.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

type result struct {
	Right  int      `json:"right"`
	Wrong  int      `json:"wrong"`
	WallMs float64  `json:"wallMs"`
	Faults []string `json:"faults"`
}

func main() {
	url := flag.String("url", "", "what to get")
	clients := flag.Int("clients", 1, "how many at once, each with a connection of its own")
	expect := flag.String("expect", "", "file that every body must equal")
	timeout := flag.Duration("timeout", 2*time.Minute, "for all of it")
	flag.Parse()
	want, err := os.ReadFile(*expect)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	client := &http.Client{
		Timeout:   *timeout,
		Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true, ReadBufferSize: 256 << 10},
	}

	var all, ready sync.WaitGroup
	var mu sync.Mutex
	sum := result{Faults: []string{}}
	start := make(chan struct{})
	for range make([]struct{}, *clients) {
		all.Add(1)
		ready.Add(1)
		go func() {
			defer all.Done()
			block := make([]byte, 256<<10)
			ready.Done()
			<-start
			err := get(client, *url, want, block)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				sum.Right++
				return
			}
			sum.Wrong++
			if len(sum.Faults) < 5 {
				sum.Faults = append(sum.Faults, err.Error())
			}
		}()
	}
	ready.Wait()
	began := time.Now()
	close(start)
	all.Wait()
	sum.WallMs = float64(time.Since(began).Microseconds()) / 1000
	json.NewEncoder(os.Stdout).Encode(sum)
	if sum.Wrong > 0 {
		os.Exit(1)
	}
}

func get(client *http.Client, url string, want, block []byte) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	at := 0
	for {
		n, err := response.Body.Read(block)
		if at+n > len(want) || !bytes.Equal(block[:n], want[at:at+n]) {
			return fmt.Errorf("differs between bytes %d and %d", at, at+n)
		}
		at += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if at != len(want) {
		return fmt.Errorf("%d bytes, not %d", at, len(want))
	}
	return nil
}
