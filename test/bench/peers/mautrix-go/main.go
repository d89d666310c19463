// An application service with mautrix-go as it is released: it counts the events that it is sent.
//
//	mautrix-go -homeserver URL -server NAME -registration FILE
//
// It listens on a free port of loopback and says which as {"port":N}. It ends when its standard input does, and then
// says how many events its handlers have seen, {"seen":N}.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync/atomic"
	"time"

	"maunium.net/go/mautrix/appservice"
	"maunium.net/go/mautrix/event"
)

const host = "127.0.0.1"

func main() {
	homeserver := flag.String("homeserver", "", "URL of the homeserver")
	server := flag.String("server", "", "name of the homeserver")
	registration := flag.String("registration", "", "file with the registration, YAML or JSON")
	flag.Parse()

	as, err := create(*homeserver, *server, *registration)
	if err != nil {
		log.Fatal(err)
	}
	var seen atomic.Int64
	events := appservice.NewEventProcessor(as)
	for _, kind := range []event.Type{event.EventMessage, event.StateMember} {
		events.On(kind, func(context.Context, *event.Event) { seen.Add(1) })
	}
	events.Start(context.Background())
	go func() {
		as.Start()
		log.Fatal("the listener ended")
	}()
	for !accepts(as.Host.Address()) {
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Printf("{\"port\":%d}\n", as.Host.Port)

	_, _ = io.Copy(io.Discard, os.Stdin)
	fmt.Printf("{\"seen\":%d}\n", seen.Load())
}

func create(homeserver, server, registration string) (*appservice.AppService, error) {
	loaded, err := appservice.LoadRegistration(registration)
	if err != nil {
		return nil, err
	}
	// mautrix-go does not tell which port it got, so it is given a free one.
	free, err := net.Listen("tcp", host+":0")
	if err != nil {
		return nil, err
	}
	port := free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	return appservice.CreateFull(appservice.CreateOpts{
		Registration:     loaded,
		HomeserverDomain: server,
		HomeserverURL:    homeserver,
		HostConfig:       appservice.HostConfig{Hostname: host, Port: uint16(port)},
	})
}

func accepts(address string) bool {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}
