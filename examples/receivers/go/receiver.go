// This is a receiver of webhooks in Go, with the standard library alone. Each profile has a path; keep the lines of the profile that your
// webhook has. The profile slack needs no receiver: its messages go to Slack.
//
//	STANDARD_SECRETS="whsec_…" PORT=3000 go run .      takes webhooks of the profile standard at /standard
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var profiles = []string{"standard", "spektr", "spektr-v1", "spectra", "dataspike", "cloudevents"}

type event struct {
	ID   string          `json:"id"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"` // The bytes as they were published: a number keeps all its digits.
}

// eventsOf reads the events of a request: each profile writes the id, the type and the data of an event in its own way. Two of
// them have the event's id only in the header webhook-id, and spektr has a list of events.
func eventsOf(profile, webhookID string, rawBody []byte) ([]event, error) {
	var body struct {
		event
		Event     string          `json:"event"`
		EventType string          `json:"event_type"`
		Payload   json.RawMessage `json:"payload"`
		Results   []struct {
			event
			EventType string `json:"eventType"`
		} `json:"results"`
	}
	if err := json.Unmarshal(rawBody, &body); err != nil {
		return nil, err
	}
	switch profile {
	case "standard":
		return []event{{webhookID, body.Type, body.Data}}, nil
	case "spektr":
		var events []event
		for _, result := range body.Results {
			events = append(events, event{result.ID, result.EventType, result.Data})
		}
		return events, nil
	case "spectra":
		return []event{{webhookID, body.Event, body.Data}}, nil
	case "dataspike":
		return []event{{body.ID, body.EventType, body.Payload}}, nil
	default: // spektr-v1 and cloudevents
		return []event{body.event}, nil
	}
}

// secretsOf reads the secrets of a webhook, which are separated by spaces. During a rotation give the new one and the old one: a
// request is good if it was signed with any of them. Without a secret every request is refused.
func secretsOf(profile string) []string {
	name := strings.ToUpper(strings.ReplaceAll(profile, "-", "_")) + "_SECRETS"
	secrets := strings.Fields(os.Getenv(name))
	for _, secret := range secrets {
		if key, err := keyOf(secret); err != nil || len(key) == 0 {
			log.Fatalf("%s has a malformed secret", name)
		}
	}
	return secrets
}

func keyOf(secret string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
}

// hasStandardSignature checks the signature of Standard Webhooks, which covers the id, the time and the body.
func hasStandardSignature(secret string, header http.Header, rawBody []byte) bool {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return false
	}
	// An old request may be one that someone has recorded and sends again.
	if age := time.Since(time.Unix(seconds, 0)); age > 5*time.Minute || age < -5*time.Minute {
		return false
	}
	key, err := keyOf(secret)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, rawBody)
	expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	// During a rotation the header has a signature with each secret.
	for _, given := range strings.Fields(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(given), []byte(expected)) {
			return true
		}
	}
	return false
}

// hasSpectraSignature checks Spectra's signature, which covers the body alone, so it can't tell an old request that someone sends
// again.
func hasSpectraSignature(secret string, header http.Header, rawBody []byte) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(rawBody)
	expected := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(header.Get("x-webhook-signature")), []byte(expected))
}

// memory is lost with the process. A table whose key is the event's id is better: store the event there before you answer, and
// work from the table.
type memory struct {
	lock   sync.Mutex
	seen   map[string]bool
	recent [100_000]string
	next   int
}

func (m *memory) isNew(key string) bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.seen[key] {
		return false
	}
	delete(m.seen, m.recent[m.next]) // The oldest one goes.
	m.seen[key], m.recent[m.next] = true, key
	m.next = (m.next + 1) % len(m.recent)
	return true
}

func work(profile string, events []event) {
	for _, event := range events {
		time.Sleep(50 * time.Millisecond) // Your work goes here.
		line, err := json.Marshal(event)
		if err != nil {
			log.Print(err)
			continue
		}
		fmt.Printf("%s %s\n", profile, line)
	}
}

func main() {
	memory := &memory{seen: map[string]bool{}}
	for _, profile := range profiles {
		http.Handle("/"+profile, receiver(profile, memory))
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}

func receiver(profile string, memory *memory) http.HandlerFunc {
	secrets := secretsOf(profile)
	// Whoever may choose takes the standard signature for spectra too, as every request has it: an old secret then holds until the
	// overlap of a rotation ends, and nobody can send an old request again.
	hasSignature := hasStandardSignature
	if profile == "spectra" {
		hasSignature = hasSpectraSignature
	}
	return func(response http.ResponseWriter, request *http.Request) {
		// The signature is over the bytes that were sent. Verify them before anything parses them: parsing and writing JSON again
		// does not give the same bytes.
		rawBody, err := io.ReadAll(http.MaxBytesReader(response, request.Body, 2<<20))
		if err != nil {
			response.WriteHeader(http.StatusBadRequest)
			return
		}
		verified := false
		for _, secret := range secrets {
			verified = verified || hasSignature(secret, request.Header, rawBody)
		}
		if !verified {
			response.WriteHeader(http.StatusUnauthorized)
			return
		}

		events, err := eventsOf(profile, request.Header.Get("webhook-id"), rawBody)
		if err != nil {
			response.WriteHeader(http.StatusBadRequest)
			return
		}
		var fresh []event
		for _, event := range events {
			if memory.isNew(profile + " " + event.ID) {
				fresh = append(fresh, event)
			}
		}
		// Several profiles count nothing but 200 as a success. The work comes after the answer, which has to come within 5 seconds.
		response.WriteHeader(http.StatusOK)
		go work(profile, fresh)
	}
}
