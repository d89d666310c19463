// An appservice on mautrix-go, as it is released. The protocol is that of ../../driver.ts.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"regexp"
	"sync"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/appservice"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"
)

const host = "127.0.0.1"

// An image of one pixel, as a ghost's avatar.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

type config struct {
	Homeserver   string `json:"homeserver"`
	Server       string `json:"server"`
	Registration string `json:"registration"`
	Port         uint16 `json:"port"`
}

type command struct {
	ID    int        `json:"id"`
	Do    string     `json:"do"`
	As    id.UserID  `json:"as"`
	Room  string     `json:"room"`
	Via   []string   `json:"via"`
	Event id.EventID `json:"event"`
	Name  string     `json:"name"`
	Text  string     `json:"text"`
	Key   string     `json:"key"`

	Version id.RoomVersion    `json:"version"`
	Levels  map[id.UserID]int `json:"levels"`
	Alias   id.RoomAlias      `json:"alias"`
}

var output sync.Mutex

func tell(line map[string]any) {
	output.Lock()
	defer output.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

func main() {
	as, err := start(context.Background(), os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	tell(map[string]any{"event": "ready"})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked command
		if err = json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal(err)
		}
		if result, err := obey(context.Background(), as, asked); err != nil {
			tell(map[string]any{"id": asked.ID, "error": err.Error()})
		} else {
			tell(map[string]any{"id": asked.ID, "result": result})
		}
	}
}

// As bridgev2/matrix does (Connector.Start): a bridge that cannot be reached does not start.
func start(ctx context.Context, path string) (*appservice.AppService, error) {
	var given config
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	} else if err = json.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	registration, err := appservice.LoadRegistration(given.Registration)
	if err != nil {
		return nil, err
	}
	as, err := appservice.CreateFull(appservice.CreateOpts{
		Registration:     registration,
		HomeserverDomain: given.Server,
		HomeserverURL:    given.Homeserver,
		HostConfig:       appservice.HostConfig{Hostname: host, Port: given.Port},
	})
	if err != nil {
		return nil, err
	}
	ghosts, err := regexp.Compile(registration.Namespaces.UserIDs[0].Regex)
	if err != nil {
		return nil, err
	}

	events := appservice.NewEventProcessor(as)
	events.ExecMode = appservice.Sync
	for _, kind := range []event.Type{event.EventMessage, event.EventReaction, event.EventRedaction, event.StateMember} {
		events.On(kind, func(_ context.Context, heard *event.Event) {
			kind := "heard"
			if heard.Sender == as.BotMXID() || ghosts.MatchString(heard.Sender.String()) {
				kind = "echo"
			}
			tell(map[string]any{
				"event": kind, "id": heard.ID, "type": heard.Type.Type, "sender": heard.Sender,
				"room": heard.RoomID, "content": heard.Content.Raw,
			})
		})
	}
	go as.Start()
	for !accepts(as.Host.Address()) {
		time.Sleep(5 * time.Millisecond)
	}

	bot := as.BotIntent()
	versions, err := bot.Versions(ctx)
	if err != nil {
		return nil, err
	}
	as.SpecVersions = versions
	if err = bot.EnsureRegistered(ctx); err != nil {
		return nil, err
	} else if _, err = bot.Whoami(ctx); err != nil {
		return nil, err
	} else if !bot.EnsureAppserviceConnection(ctx) {
		return nil, fmt.Errorf("the homeserver does not reach the appservice")
	} else if _, err = bot.GetMediaConfig(ctx); err != nil {
		return nil, err
	}
	events.Start(ctx)
	return as, nil
}

func obey(ctx context.Context, as *appservice.AppService, asked command) (any, error) {
	intent := as.BotIntent()
	if asked.As != "" {
		intent = as.Intent(asked.As)
	}
	room := id.RoomID(asked.Room)
	switch asked.Do {
	case "register":
		return nil, intent.EnsureRegistered(ctx)
	case "join":
		if err := intent.EnsureRegistered(ctx); err != nil {
			return nil, err
		}
		joined, err := intent.JoinRoom(ctx, asked.Room, &mautrix.ReqJoinRoom{Via: asked.Via})
		if err != nil {
			return nil, err
		}
		return joined.RoomID, nil
	case "check":
		return intent.AppservicePing(ctx, as.Registration.ID, intent.TxnID())
	case "profile":
		return dress(ctx, intent, asked.Name)
	case "send":
		return sent(intent.SendText(ctx, room, asked.Text))
	case "edit":
		content := &event.MessageEventContent{MsgType: event.MsgText, Body: asked.Text}
		content.SetEdit(asked.Event)
		return sent(intent.SendMessageEvent(ctx, room, event.EventMessage, content))
	case "react":
		return sent(intent.SendReaction(ctx, room, asked.Event, asked.Key))
	case "redact":
		return sent(intent.RedactEvent(ctx, room, asked.Event))
	case "create":
		made, err := intent.CreateRoom(ctx, &mautrix.ReqCreateRoom{
			Preset: "public_chat", RoomAliasName: asked.Name, RoomVersion: asked.Version,
			PowerLevelOverride: &event.PowerLevelsEventContent{Users: asked.Levels},
		})
		if err != nil {
			return nil, err
		}
		return made.RoomID, nil
	case "alias":
		_, err := intent.CreateAlias(ctx, asked.Alias, room)
		return nil, err
	case "topic":
		return sent(intent.SetRoomTopic(ctx, room, asked.Text))
	}
	return nil, fmt.Errorf("there is no command %s", asked.Do)
}

func dress(ctx context.Context, intent *appservice.IntentAPI, name string) (any, error) {
	image, err := base64.StdEncoding.DecodeString(pixel)
	if err != nil {
		return nil, err
	}
	avatar, err := intent.UploadMedia(ctx, mautrix.ReqUploadMedia{ContentBytes: image, ContentType: "image/png"})
	if err != nil {
		return nil, err
	} else if err = intent.SetDisplayName(ctx, name); err != nil {
		return nil, err
	}
	return avatar.ContentURI.String(), intent.SetAvatarURL(ctx, avatar.ContentURI)
}

func sent(answer *mautrix.RespSendEvent, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return answer.EventID, nil
}

func accepts(address string) bool {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}
