package client

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAskedPauses holds what an IMC costs that asks again a second after each new
// IKE_SA: the first at once, and fewer and fewer.
func TestAskedPauses(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var a asked
	var waits []time.Duration
	began, day := 0, now.Add(24*time.Hour)
	for now.Before(day) {
		wait := a.wait(now)
		if len(waits) < 9 {
			waits = append(waits, wait)
		}
		began++
		now = now.Add(wait + time.Second)
	}
	require.Equal(t, []time.Duration{0, 29 * time.Second, 59 * time.Second, 119 * time.Second, 239 * time.Second,
		479 * time.Second, 959 * time.Second, 1919 * time.Second, 3599 * time.Second}, waits)
	require.Equal(t, 31, began, "in a day")
	require.Zero(t, a.wait(now.Add(3*time.Hour)), "after a quiet time it is the first one again")
	require.Equal(t, minAskedPause, a.wait(now.Add(3*time.Hour)))
}
