package xml

// Recipient is the end that a batch is for.
type Recipient string

// Recipients.
const (
	TNCS Recipient = "TNCS" // the server
	TNCC Recipient = "TNCC" // the client
)

// Batch is one document.
type Batch struct {
	ID        uint32 // 1 for the client's first, and one more for each batch of either side
	Recipient Recipient
	Messages  []Message
}

// AppendBinary appends the document to b.
func (x Batch) AppendBinary(b []byte) ([]byte, error) {
	w := NewBuilder(x.ID, x.Recipient, MaxDocument)
	for _, m := range x.Messages {
		if ok, err := w.Add(m); err != nil {
			return nil, err
		} else if !ok {
			return nil, errSize
		}
	}
	return append(b, w.Bytes()...), nil
}
