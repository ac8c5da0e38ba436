package ifimc

// Version1 is TNC_IFIMC_VERSION_1, the version that IF-IMC 1.0 to 1.3 negotiate.
const Version1 = 1

// Reserved values: they stand for "any", and are no ID, vendor or subtype.
const (
	AnyConnection = 0xFFFFFFFF // TNC_CONNECTIONID_ANY
	AnyIMC        = 0xFFFF     // TNC_IMCID_ANY
	AnyIMV        = 0xFFFF     // TNC_IMVID_ANY
	AnyVendor     = 0xFFFFFF   // TNC_VENDORID_ANY
	AnySubtype    = 0xFF       // TNC_SUBTYPE_ANY
)

// FlagExclusive is TNC_MESSAGE_FLAGS_EXCLUSIVE: a message for one IMC or IMV only.
const FlagExclusive = 0x80000000
