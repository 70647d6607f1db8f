"""Numbers shared by the C fast path and its pure twin: return codes, scanner output, region.

`sipfast.h` is the manual and draws the same layouts; tests/parity holds the two equal.
Runs on both interpreters. Imports no I/O.
"""

from bus.compat import const

# Return codes of every call (sipfast.h): results are >= 0.
OK = const(0)
SYNTAX = const(-1)
PARTIAL = const(-2)
NO_SPACE = const(-3)
BAD_ARGUMENT = const(-4)
NOT_FOUND = const(-5)
CORRUPT = const(-6)
BUSY = const(-7)
NOT_PLAIN = const(-8)

# --- Scanner output: array('H'). The head of HEAD_ITEMS items, then HEADER_ITEMS per header.
HEAD_ITEMS = const(16)
KIND = const(0)  # KIND_REQUEST, KIND_RESPONSE or KIND_BAD_REQUEST
METHOD = const(1)  # METHOD_..., 0 = another method; 0 in a response
METHOD_START = const(2)
METHOD_LENGTH = const(3)
URI_START = const(4)
URI_LENGTH = const(5)
VERSION = const(6)  # major * 256 + minor: 0x0200 for SIP/2.0, the caller answers 505 to others
STATUS = const(7)  # 100..699 in a response, 0 in a request
REASON_START = const(8)
REASON_LENGTH = const(9)
HEAD_START = const(10)  # offset of the start line, after empty lines (RFC 3261 7.5)
BODY_START = const(11)  # offset of the first octet behind the empty line
HEAD_LENGTH = const(12)  # BODY_START - HEAD_START
HEADER_COUNT = const(13)  # the same number as the return value; items 14 and 15 are 0

HEADER_ITEMS = const(6)
HEADER_ID = const(0)  # H_..., 0 = another header
NAME_START = const(1)
NAME_LENGTH = const(2)
VALUE_START = const(3)  # of the value without LWS at both ends
VALUE_LENGTH = const(4)
FOLDED = const(5)  # 1: the value holds a line fold (RFC 3261 7.3.1), which means one space

KIND_REQUEST = const(1)
KIND_RESPONSE = const(2)
# A request line that is readable but malformed (more than one space, spaces inside or after the
# Request-URI, a Request-URI that is not printable ASCII): the headers are good for a 400.
KIND_BAD_REQUEST = const(3)

SIP_2_0 = const(0x0200)

METHODS = (
    b"", b"INVITE", b"ACK", b"BYE", b"CANCEL", b"OPTIONS", b"REGISTER", b"PRACK", b"SUBSCRIBE",
    b"NOTIFY", b"PUBLISH", b"INFO", b"REFER", b"MESSAGE", b"UPDATE",
)
METHOD_OTHER = const(0)
METHOD_INVITE = const(1)
METHOD_ACK = const(2)
METHOD_BYE = const(3)
METHOD_CANCEL = const(4)
METHOD_OPTIONS = const(5)
METHOD_REGISTER = const(6)
METHOD_PRACK = const(7)
METHOD_SUBSCRIBE = const(8)
METHOD_NOTIFY = const(9)
METHOD_PUBLISH = const(10)
METHOD_INFO = const(11)
METHOD_REFER = const(12)
METHOD_MESSAGE = const(13)
METHOD_UPDATE = const(14)

H_OTHER = const(0)
H_VIA = const(1)
H_FROM = const(2)
H_TO = const(3)
H_CALL_ID = const(4)
H_CSEQ = const(5)
H_MAX_FORWARDS = const(6)
H_CONTACT = const(7)
H_CONTENT_LENGTH = const(8)
H_CONTENT_TYPE = const(9)
H_EXPIRES = const(10)
H_ROUTE = const(11)
H_RECORD_ROUTE = const(12)
H_REQUIRE = const(13)
H_PROXY_REQUIRE = const(14)
H_SUPPORTED = const(15)
H_AUTHORIZATION = const(16)
H_PROXY_AUTHORIZATION = const(17)
H_PATH = const(18)
H_USER_AGENT = const(19)
H_MIN_EXPIRES = const(20)
H_ALLOW = const(21)
H_EVENT = const(22)
H_TIMESTAMP = const(23)
H_UNSUPPORTED = const(24)
H_WWW_AUTHENTICATE = const(25)
H_PROXY_AUTHENTICATE = const(26)
H_RETRY_AFTER = const(27)
H_DATE = const(28)
H_SERVICE_ROUTE = const(29)
H_ACCEPT = const(30)
H_SERVER = const(31)
H_SUBJECT = const(32)
H_REFER_TO = const(33)
H_REFERRED_BY = const(34)
H_ALLOW_EVENTS = const(35)
H_SESSION_EXPIRES = const(36)
H_MIN_SE = const(37)
H_CONTENT_ENCODING = const(38)
H_WARNING = const(39)
H_P_ASSERTED_IDENTITY = const(40)
H_PRIVACY = const(41)
H_REASON = const(42)
H_AUTHENTICATION_INFO = const(43)
H_RSEQ = const(44)
H_RACK = const(45)
H_SUBSCRIPTION_STATE = const(46)

# Canonical spelling of each header id, in the order of the ids.
HEADER_NAMES = (
    b"", b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Max-Forwards", b"Contact",
    b"Content-Length", b"Content-Type", b"Expires", b"Route", b"Record-Route", b"Require",
    b"Proxy-Require", b"Supported", b"Authorization", b"Proxy-Authorization", b"Path",
    b"User-Agent", b"Min-Expires", b"Allow", b"Event", b"Timestamp", b"Unsupported",
    b"WWW-Authenticate", b"Proxy-Authenticate", b"Retry-After", b"Date", b"Service-Route",
    b"Accept", b"Server", b"Subject", b"Refer-To", b"Referred-By", b"Allow-Events",
    b"Session-Expires", b"Min-SE", b"Content-Encoding", b"Warning", b"P-Asserted-Identity",
    b"Privacy", b"Reason", b"Authentication-Info", b"RSeq", b"RAck", b"Subscription-State",
)

# Compact forms: RFC 3261 7.3.3, RFC 3515 (r), RFC 3892 (b), RFC 4028 (x), RFC 6665 (o, u).
COMPACT_NAMES = (
    (b"v", H_VIA), (b"f", H_FROM), (b"t", H_TO), (b"i", H_CALL_ID), (b"m", H_CONTACT),
    (b"l", H_CONTENT_LENGTH), (b"c", H_CONTENT_TYPE), (b"k", H_SUPPORTED), (b"s", H_SUBJECT),
    (b"e", H_CONTENT_ENCODING), (b"o", H_EVENT), (b"u", H_ALLOW_EVENTS), (b"r", H_REFER_TO),
    (b"b", H_REFERRED_BY), (b"x", H_SESSION_EXPIRES),
)

# --- The region of a location table. All integers little-endian; sipfast.h draws it.
HEADER_BYTES = const(4096)
MAGIC = b"SFT1"
LAYOUT_VERSION = const(1)
AT_MAGIC = const(0)
AT_VERSION = const(4)  # u16
AT_DIRTY = const(6)  # u16: 1 between begin() and end()
AT_SIZE = const(8)
AT_SEQUENCE = const(12)  # odd while a write is under way
AT_LEVEL = const(16)  # u64
AT_BIRTHDAY = const(24)  # 8 octets
AT_SEED = const(32)  # 16 octets: SipHash key of the index
AT_COUNT = const(48)
AT_SLOTS = const(52)  # power of two
AT_HEAP = const(56)  # offset of the heap = HEADER_BYTES + 4 * slots
AT_GRANULES = const(60)  # granules of the heap
AT_TOP = const(64)  # granules ever taken from its low end
AT_FREE = const(68)  # granules in the free lists
AT_DIGEST = const(72)  # u64
AT_FREE_LISTS = const(256)  # CLASSES u32: record reference of the first free block
AT_BUCKETS = const(2048)  # 256 u64

GRANULE_SHIFT = const(4)
GRANULE_BYTES = const(16)
EXACT_CLASSES = const(64)  # blocks of 1..64 granules: one class each
CLASSES = const(71)  # then 128, 256, 512, 1024, 2048, 4096, 8192 granules

RECORD_HEAD = const(12)  # crc u32 | hash u32 | klen u16 | vlen u16, then key and value
MAX_KEY = const(1024)
MAX_VALUE = const(0xFFFE)
ROW_REMOVED = const(0xFFFF)  # vlen of a row that removes its key
ROW_HEAD = const(4)

REFERENCE_BITS = const(27)
REFERENCE_MASK = const((1 << 27) - 1)
MAX_SIZE = const(0x7FFFFFF0)
MIN_SLOTS = const(16)
MAX_SLOTS = const(1 << 27)

# The public key of the database digest: equal on every card, no secret.
DIGEST_KEY = b"SIP location db1"
