package tnccs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadConfig(t *testing.T) {
	_, err := NewClient(Config{PreferredLanguage: "en\r\n"})
	require.Error(t, err)
	_, err = NewClient(Config{MaxBatchSize: -1})
	require.Error(t, err)
}
