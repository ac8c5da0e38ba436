//go:build !linux

package batch

func refuseRuns(*Writer, bool) {}
