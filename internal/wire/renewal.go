package wire

// RenewRequest asks for another certificate of the host that asks.
type RenewRequest struct {
	Request []byte `json:"request"` // PKCS #10, DER
}

// RenewReply is the certificate.
type RenewReply struct {
	Certificate []byte `json:"certificate"` // X.509, DER
}
