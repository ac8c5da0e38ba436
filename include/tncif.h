/*
 * tncif.h - types and constants common to the interfaces of Trusted Network
 * Connect: IF-IMC 1.3 (tncifimc.h) and the clients of this project's libraries.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Widths. TNC_UInt32 is `unsigned long`, as in every Unix host: 8 octets on
 * LP64 systems (amd64, arm64, riscv64, ppc64le, s390x), 4 on ILP32. Arrays and
 * output pointers have that width too. Values stay inside 32 bits all the same:
 * "any connection" is 0xFFFFFFFF, never all ones of a 64-bit long.
 *
 * Calling convention: the platform's C ABI. No structure is passed or returned.
 * The header is valid C89 and C++98.
 */
#ifndef GOTNC_TNCIF_H
#define GOTNC_TNCIF_H

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned long  TNC_UInt32;
typedef unsigned char *TNC_BufferReference;

/* Identifies one network connection attempt of one endpoint. Given by the TNC
 * client, and valid from TNC_CONNECTION_STATE_CREATE to
 * TNC_CONNECTION_STATE_DELETE. 0 is a valid value. */
typedef TNC_UInt32 TNC_ConnectionID;
typedef TNC_UInt32 TNC_ConnectionState;
typedef TNC_UInt32 TNC_RetryReason;

/* (vendor ID << 8) | subtype: 24 and 8 bits. */
typedef TNC_UInt32       TNC_MessageType;
typedef TNC_MessageType *TNC_MessageTypeList;

/* SMI Private Enterprise Number, 24 bits. */
typedef TNC_UInt32    TNC_VendorID;
typedef TNC_VendorID *TNC_VendorIDList;

/* 32 bits with the functions named ...Long, else 8. */
typedef TNC_UInt32          TNC_MessageSubtype;
typedef TNC_MessageSubtype *TNC_MessageSubtypeList;

typedef TNC_UInt32 TNC_Version;
typedef TNC_UInt32 TNC_Result;
typedef TNC_UInt32 TNC_AttributeID;

/* Identify a Collector and a Verifier; 16 bits on the wire. 0 is a valid IMC
 * ID. */
typedef TNC_UInt32 TNC_IMCID;
typedef TNC_UInt32 TNC_IMVID;

/* Results of every function. */

#define TNC_RESULT_SUCCESS             0
#define TNC_RESULT_NOT_INITIALIZED     1  /* not initialised, or terminated */
#define TNC_RESULT_ALREADY_INITIALIZED 2
#define TNC_RESULT_NO_COMMON_VERSION   3  /* no interface version in common */
#define TNC_RESULT_CANT_RETRY          4  /* a handshake cannot be retried */
#define TNC_RESULT_WONT_RETRY          5  /* a handshake retry is refused */
#define TNC_RESULT_INVALID_PARAMETER   6
#define TNC_RESULT_CANT_RESPOND        7  /* no batch is being put together */
#define TNC_RESULT_ILLEGAL_OPERATION   8  /* not permitted at this time */
#define TNC_RESULT_OTHER               9
#define TNC_RESULT_FATAL              10  /* unrecoverable for this object */

#define TNC_RESULT_EXCEEDED_MAX_ROUND_TRIPS  0x00559700
#define TNC_RESULT_EXCEEDED_MAX_MESSAGE_SIZE 0x00559701 /* the transport's limit */
#define TNC_RESULT_NO_LONG_MESSAGE_TYPES     0x00559702 /* vendor or subtype too large for IF-TNCCS 1.x */
#define TNC_RESULT_NO_SOH_SUPPORT            0x00559703

/* Wildcards. They stand for "any" when message types are reported; a message
 * can never be sent with a reserved vendor ID or subtype. */

#define TNC_CONNECTIONID_ANY ((TNC_ConnectionID) 0xFFFFFFFF)
#define TNC_IMCID_ANY        ((TNC_IMCID) 0xFFFF)
#define TNC_IMVID_ANY        ((TNC_IMVID) 0xFFFF)
#define TNC_VENDORID_ANY     ((TNC_VendorID) 0xFFFFFF)
#define TNC_SUBTYPE_ANY      ((TNC_MessageSubtype) 0xFF)

/* TCG's vendor ID in the first versions of the interface, and today's. */
#define TNC_VENDORID_TCG     ((TNC_VendorID) 0)
#define TNC_VENDORID_TCG_NEW ((TNC_VendorID) 0x005597)

/* Largest vendor ID and subtypes of real messages. */
#define TNC_VENDORID_MAX     ((TNC_VendorID) 0xFFFFFE)

/* Flags of the functions named ...Long. Only the addressed IMC or IMV, not
 * every subscriber, gets the message: */
#define TNC_MESSAGE_FLAGS_EXCLUSIVE ((TNC_UInt32) 0x80000000)

/* Attributes of a connection (TNC_TNCC_GetAttribute, TNC_TNCC_SetAttribute).
 * Integers are 4 octets, most significant first. Booleans are one octet, 0 or
 * 1. Strings end in NUL, which the length counts. */

#define TNC_ATTRIBUTEID_PREFERRED_LANGUAGE ((TNC_AttributeID) 0x00000001) /* string, as in Accept-Language */
#define TNC_ATTRIBUTEID_REASON_STRING      ((TNC_AttributeID) 0x00000002) /* string; IMV sets */
#define TNC_ATTRIBUTEID_REASON_LANGUAGE    ((TNC_AttributeID) 0x00000003) /* string; IMV sets */
#define TNC_ATTRIBUTEID_MAX_ROUND_TRIPS    ((TNC_AttributeID) 0x00559700) /* integer; 0xFFFFFFFF: no limit */
#define TNC_ATTRIBUTEID_MAX_MESSAGE_SIZE   ((TNC_AttributeID) 0x00559701) /* integer, octets of one message */
#define TNC_ATTRIBUTEID_DHPN               ((TNC_AttributeID) 0x00559702) /* octets: unique value of D-H PN */
#define TNC_ATTRIBUTEID_HAS_LONG_TYPES     ((TNC_AttributeID) 0x00559703) /* boolean */
#define TNC_ATTRIBUTEID_HAS_EXCLUSIVE      ((TNC_AttributeID) 0x00559704) /* boolean */
#define TNC_ATTRIBUTEID_HAS_SOH            ((TNC_AttributeID) 0x00559705) /* boolean */
#define TNC_ATTRIBUTEID_SOH                ((TNC_AttributeID) 0x00559706) /* octets; IMV gets */
#define TNC_ATTRIBUTEID_SSOH               ((TNC_AttributeID) 0x00559707) /* octets; IMV gets */
#define TNC_ATTRIBUTEID_SOHR               ((TNC_AttributeID) 0x00559708) /* octets; IMC gets */
#define TNC_ATTRIBUTEID_SSOHR              ((TNC_AttributeID) 0x00559709) /* octets; IMC gets */
#define TNC_ATTRIBUTEID_IFTNCCS_PROTOCOL   ((TNC_AttributeID) 0x0055970A) /* string: "IF-TNCCS", "IF-TNCCS-SOH" */
#define TNC_ATTRIBUTEID_IFTNCCS_VERSION    ((TNC_AttributeID) 0x0055970B) /* string: "1.1", "2.0" */
#define TNC_ATTRIBUTEID_IFT_PROTOCOL       ((TNC_AttributeID) 0x0055970C) /* string: "IF-T for Tunneled EAP", "IF-T for TLS" */
#define TNC_ATTRIBUTEID_IFT_VERSION        ((TNC_AttributeID) 0x0055970D) /* string: "1.1", "2.0" */
#define TNC_ATTRIBUTEID_TLS_UNIQUE         ((TNC_AttributeID) 0x0055970E) /* octets: channel binding (RFC 5929) */
#define TNC_ATTRIBUTEID_PRIMARY_IMV_ID     ((TNC_AttributeID) 0x00559710) /* integer; IMV gets */
#define TNC_ATTRIBUTEID_PRIMARY_IMC_ID     ((TNC_AttributeID) 0x00559711) /* integer; IMC gets */
#define TNC_ATTRIBUTEID_AR_IDENTITIES      ((TNC_AttributeID) 0x00559712) /* identity list; IMV gets */

#ifdef __cplusplus
}
#endif

#endif /* GOTNC_TNCIF_H */
