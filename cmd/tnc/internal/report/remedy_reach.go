package report

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/ike"
)

// lookupRemedy is of a *client.LookupError.
func lookupRemedy(err error) string {
	var e *client.LookupError
	errors.As(err, &e)
	switch e.Of {
	case client.OfUs:
		return fmt.Sprintf(": check local_addrs of connection %q", e.Connection)
	case client.OfRedirect:
		return ": check the gateway's redirection and the name service"
	}
	return fmt.Sprintf(": check remote_addrs of connection %q and the name service", e.Connection)
}

// attemptsRemedy is of a *client.AttemptsError.
func attemptsRemedy(err error) string {
	var e *client.AttemptsError
	errors.As(err, &e)
	if errors.Is(err, ike.ErrProposal) {
		return fmt.Sprintf(": compare proposals of connection %q with the gateway's", e.Connection)
	}
	return fmt.Sprintf("; check remote_addrs of connection %q, the name service, and that UDP ports 500 and 4500 are open on the way", e.Connection)
}
