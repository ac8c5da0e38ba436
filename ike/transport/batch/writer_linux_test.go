package batch

// refuseRuns makes w send datagrams one by one, as where the kernel takes no runs.
func refuseRuns(w *Writer, refuse bool) { w.single = refuse }
