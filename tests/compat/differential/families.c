/* See families.h. */
#include "families.h"

#include "kit/assert.h"

static const char *const strings[] = {
    "SET %k %v",
    "SET %k %v [NX|XX] [GET] [EX %t|PX %m|EXAT %T|PXAT %M|KEEPTTL]",
    "SET %k %v <EX %t|PX %m|KEEPTTL> [GET|NX|XX]",
    "SET %k %v [NX] [XX] [GET] [EX %t] [PX %m] [KEEPTTL]",
    "GET %k",
    "GET %k",
    "GETSET %k %v",
    "GETDEL %k",
    "GETEX %k [EX %t|PX %m|EXAT %P|PXAT %Q|PERSIST]",
    "SETNX %k %v",
    "SETEX %k %t %v",
    "PSETEX %k %m %v",
    "MSET (%k %v)",
    "MSETNX (%k %v)",
    "MGET (%k)",
    "INCR %k",
    "DECR %k",
    "INCRBY %k %i",
    "DECRBY %k %i",
    "INCRBYFLOAT %k %F",
    "SET %k %i",
    "SET %k %F",
    "APPEND %k %v",
    "STRLEN %k",
    "GETRANGE %k %r %r",
    "SUBSTR %k %r %r",
    "SETRANGE %k %o %v",
    NULL,
};

static const char *const lcs[] = {
    "!SET %l %w",
    "!LCS %l %l",
    "!LCS %l %l <LEN|IDX|IDX WITHMATCHLEN|IDX MINMATCHLEN %r|IDX MINMATCHLEN %r WITHMATCHLEN>",
    "!LCS %l %l [LEN] [IDX] [MINMATCHLEN %i] [WITHMATCHLEN] [NOSUCH]",
    "!LCS %l %h",
    "!LCS %l",
    NULL,
};

static const char *const hashes[] = {
    "HSET %h (%f %v)",
    "HSET %h (%f %v)",
    "HMSET %h (%f %v)",
    "HSETNX %h %f %v",
    "HGET %h %f",
    "HMGET %h (%f)",
    "HGETALL %h",
    "HKEYS %h",
    "HVALS %h",
    "HLEN %h",
    "HSTRLEN %h %f",
    "HEXISTS %h %f",
    "HDEL %h (%f)",
    "HINCRBY %h %f %i",
    "HINCRBYFLOAT %h %f %F",
    "HSET %h %f %i",
    "HRANDFIELD %h [%r|%r WITHVALUES]",
    "HSCAN %h 0 [MATCH %p] [COUNT 1000000]",
    "HSCAN %h <0|%i> [MATCH %p] [COUNT %c] [NOSUCH]",
    "DEL %h",
    "OBJECT ENCODING %h",
    NULL,
};

static const char *const keys[] = {
    "DEL (%k)",
    "UNLINK (%k)",
    "EXISTS (%k)",
    "TOUCH (%k)",
    "TYPE %k",
    "RENAME %k %k",
    "RENAMENX %k %k",
    "COPY %k %k [DB %d] [REPLACE]",
    "COPY %k %k [REPLACE] [DB %d] [NOSUCH]",
    "OBJECT ENCODING %k",
    "OBJECT <NOSUCH|FREQ> %k",
    "KEYS %p",
    "SCAN 0 [MATCH %p] COUNT 1000000 [TYPE %y]",
    "SCAN <0|%i> [MATCH %p] COUNT <%c|1000000> [NOSUCH]",
    "RANDOMKEY",
    "DBSIZE",
    "RESTORE %k <0|%m> %v [REPLACE] [ABSTTL] [IDLETIME %r] [FREQ %r]",
    "HSET %h %f %v",
    "SET %k %v",
    NULL,
};

static const char *const expiry[] = {
    "EXPIRE %k %t [NX|XX|GT|LT]",
    "PEXPIRE %k %m [NX|XX|GT|LT]",
    "EXPIREAT %k %P [NX|XX|GT|LT]",
    "PEXPIREAT %k %Q [NX|XX|GT|LT]",
    "<EXPIRE|PEXPIREAT> %k %t [NX] [XX] [GT] [LT] [NOSUCH]",
    "PERSIST %k",
    "TTL %k",
    "PTTL %k",
    "EXPIRETIME %k",
    "PEXPIRETIME %k",
    "SET %k %v [EX %t|KEEPTTL]",
    "HSET %h %f %v",
    "GET %k",
    "RENAME %k %k",
    "COPY %k %k [REPLACE]",
    NULL,
};

static const char *const databases[] = {
    "SELECT %d",
    "MOVE %k %d",
    "FLUSHDB [ASYNC|SYNC|NOSUCH]",
    "FLUSHALL [ASYNC|SYNC]",
    "DBSIZE",
    "SET %k %v",
    "HSET %h %f %v",
    "KEYS %p",
    NULL,
};

static const char *const connections[] = {
    "HELLO [<2|3|4|%i>] [SETNAME %f] [AUTH <default|alice> %f]",
    "HELLO <2|3> [SETNAME %f]",
    "PING [%v]",
    "ECHO %v",
    "CLIENT SETNAME %f",
    "CLIENT GETNAME",
    "CLIENT ID",
    "CLIENT INFO",
    "CLIENT NO-EVICT <ON|OFF|NOSUCH>",
    "CLIENT <NOSUCH|GETREDIR|TRACKINGINFO>",
    "CLIENT KILL <1.2.3.4:5|ID 999999|TYPE nosuch|ID x|NOSUCH>",
    "CLIENT UNPAUSE",
    "CLIENT REPLY <ON|NOSUCH>",
    "RESET",
    "AUTH [<alice|default|nosuch>] <pw1|%f>",
    "READONLY",
    "TIME",
    "LASTSAVE",
    "NOSUCHCOMMAND [%v] [%k]",
    NULL,
};

static const char *const config[] = {
    "!CONFIG GET <maxmemory|maxmemory-policy|timeout|databases|save|appendonly|slowlog-*|hash-max-*"
    "|proto-max-bulk-len|notify-keyspace-events|no-such-parameter|MAXMEMORY>",
    "!CONFIG GET maxmemory [timeout] [hash-max-listpack-*]",
    "CONFIG SET hash-max-listpack-entries <2|4|128|-1|x>",
    "CONFIG SET hash-max-listpack-value <8|64|x>",
    "!CONFIG SET maxmemory <0|100mb|1gb|-1|x|100000000>",
    "CONFIG SET maxmemory-policy <allkeys-lru|volatile-ttl|noeviction|allkeys-random|nosuch>",
    "CONFIG SET notify-keyspace-events <KEA|Kg|%e|?>",
    "CONFIG SET slowlog-log-slower-than <0|10000|-1|x>",
    "CONFIG SET timeout <0|100|-1|x> [maxmemory <0|x>]",
    "CONFIG SET <no-such-parameter|databases> 1",
    "CONFIG SET timeout 0 timeout 1",
    "!CONFIG <SET|GET|RESETSTAT|NOSUCH> [%v]",
    "HSET %h (%f %v)",
    "OBJECT ENCODING %h",
    NULL,
};

static const char *const acl[] = {
    "ACL SETUSER <alice|bob> [on|off|reset] [\\>pw1|nopass|resetpass|\\>pw2|\\<pw1] "
    "[~*|~s*|\\%R~h*|"
    "resetkeys"
    "|allkeys] [+@all|-@all|+get|+@read|-@write|+@string -set|allcommands|+config\\|get]",
    "ACL SETUSER <alice|bob> [on] [+nosuch|+@nosuch|~|\\>|nosuch|#abc|!abc|\\(~x\\ +get\\)|"
    "&ch*|resetchannels]",
    "ACL SETUSER alice on \\>pw1 ~* +@all",
    "ACL GETUSER <alice|bob|default|nosuch>",
    "ACL LIST",
    "ACL USERS",
    "ACL WHOAMI",
    "ACL DELUSER <alice|bob|nosuch|default> [bob]",
    "ACL CAT [nosuch|string|hash|transaction]",
    "ACL GENPASS [%r]",
    "ACL DRYRUN <alice|bob|nosuch> <GET %k|SET %k %v|HGET %h %f|NOSUCH|CONFIG GET x|MGET (%k)>",
    "ACL NOSUCH",
    "AUTH <alice|bob> <pw1|pw2>",
    "AUTH <pw1|nosuch>",
    "GET %k",
    "SET %k %v",
    "RESET",
    NULL,
};

static const char *const commands[] = {
    "!COMMAND GETKEYS SET %k %v",
    "!COMMAND GETKEYS MSET (%k %v)",
    "!COMMAND GETKEYS <MGET|DEL|EXISTS|TOUCH> (%k)",
    "!COMMAND GETKEYS <GET|RENAME %k|HSET %h %f|COPY %k|LCS %l|OBJECT ENCODING|HGETALL> %k",
    "!COMMAND GETKEYS <PING|NOSUCH %k|GET|SET|EXEC|CONFIG GET x>",
    "!COMMAND NOSUCH",
    NULL,
};

/* The commands of transactions come from the other families; these are the loose tokens. */
static const char *const transactions[] = {
    "MULTI", "EXEC", "DISCARD", "WATCH (%k)", "UNWATCH", "INCR %k", "SET %k %v", "GET %k", NULL,
};

static const char *const none[] = {NULL};

const struct family families[] = {
    {"string", 30, strings},  {"hash", 25, hashes},
    {"key", 15, keys},        {"expire", 12, expiry},
    {"lcs", 3, lcs},          {"txn", 8, transactions},
    {"db", 3, databases},     {"connection", 2, connections},
    {"config", 2, config},    {"acl", 2, acl},
    {"command", 1, commands}, {"transfer", 1, none},
    {"scan", 1, none},        {"random", 1, none},
    {"raw", 1, none},
};
const size_t family_count = HL_ARRAY_LEN(families);

const char *const raw_requests[] = {
    "*\r\n",
    "*abc\r\n",
    "*-1\r\nPING\r\n",
    "*0\r\nPING\r\n",
    "*2147483648\r\n",
    "*1\r\nfoo\r\n",
    "*1\r\n$abc\r\n",
    "*1\r\n$-1\r\n",
    "*1\r\n$536870913\r\n",
    "*1\r\n\r\n",
    "*1\r\n$4\r\nPINGxxPING\r\n",
    "*01\r\n$4\r\nPING\r\n",
    "*+1\r\n$4\r\nPING\r\n",
    "*1\r\n$04\r\nPING\r\n",
    "*1\r\n$4\n\rPING\r\n",
    "*1\r$4\r\nPING\r\n",
    "*1\rx$4\r\nPING\r\n",
    "*1\n$4\r\nPING\r\n",
    "*2\r\n$4\r\nECHO\r\n+x\r\n",
    "set a \"b\r\n",
    "set a \"b\"c\r\n",
    "echo 'b\\'c'\r\n",
    "echo \"\\x41\\n\\q\\x4g\"\r\n",
    "\r\n\nPING\n",
    "  PING  \r\n \r\nPING\r\n",
    "echo a\"b\"\r\n",
    "echo \"\"\r\n",
    "ping \t\v\f x\r\n",
    "ping a\rb\r\n",
    "ping \"a\r\n\"\r\n",
    "|1\r\n",
    "$4\r\nPING\r\n",
    "\"\" a\r\n",
    "nosuch a \"b\\nc\" d\r\n",
    "GET\r\nPING\r\nNOSUCH\r\nPING\r\n",
    "PING\r\nQUIT\r\nPING\r\n",
    "POST / HTTP/1.1\r\nPING\r\n",
    "PING\r\nHost: example\r\nPING\r\n",
    "MULTI\r\nNOSUCH\r\nEXEC\r\n",
    "HELLO 3\r\n*1\r\n$4\r\nPINGxx*1\r\n$-1\r\n",
    NULL,
};
