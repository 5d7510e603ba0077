/* Lists, sorted sets and streams: the keyspace does not have them yet, so no key ever holds one.
 *
 * Each function answers what it answers for a key of the wrong type: modules know that answer. */
#include "abi/internal.h"

#include <errno.h>

static int refuse(void)
{
    errno = ENOTSUP;
    return REDISMODULE_ERR;
}

int hl_rm_ListPush(RedisModuleKey *kp, int where, RedisModuleString *ele)
{
    (void)kp;
    (void)where;
    (void)ele;
    return refuse();
}

RedisModuleString *hl_rm_ListPop(RedisModuleKey *key, int where)
{
    (void)key;
    (void)where;
    errno = ENOTSUP;
    return NULL;
}

RedisModuleString *hl_rm_ListGet(RedisModuleKey *key, long index)
{
    (void)key;
    (void)index;
    errno = ENOTSUP;
    return NULL;
}

int hl_rm_ListSet(RedisModuleKey *key, long index, RedisModuleString *value)
{
    (void)key;
    (void)index;
    (void)value;
    return refuse();
}

int hl_rm_ListInsert(RedisModuleKey *key, long index, RedisModuleString *value)
{
    (void)key;
    (void)index;
    (void)value;
    return refuse();
}

int hl_rm_ListDelete(RedisModuleKey *key, long index)
{
    (void)key;
    (void)index;
    return refuse();
}

int hl_rm_ZsetAdd(RedisModuleKey *key, double score, RedisModuleString *ele, int *flagsptr)
{
    (void)key;
    (void)score;
    (void)ele;
    (void)flagsptr;
    return refuse();
}

int hl_rm_ZsetIncrby(RedisModuleKey *key, double score, RedisModuleString *ele, int *flagsptr,
                     double *newscore)
{
    (void)newscore;
    return hl_rm_ZsetAdd(key, score, ele, flagsptr);
}

int hl_rm_ZsetScore(RedisModuleKey *key, RedisModuleString *ele, double *score)
{
    (void)key;
    (void)ele;
    (void)score;
    return refuse();
}

int hl_rm_ZsetRem(RedisModuleKey *key, RedisModuleString *ele, int *deleted)
{
    (void)key;
    (void)ele;
    (void)deleted;
    return refuse();
}

void hl_rm_ZsetRangeStop(RedisModuleKey *key)
{
    (void)key;
}

int hl_rm_ZsetFirstInScoreRange(RedisModuleKey *key, double min, double max, int minex, int maxex)
{
    (void)key;
    (void)min;
    (void)max;
    (void)minex;
    (void)maxex;
    return refuse();
}

int hl_rm_ZsetLastInScoreRange(RedisModuleKey *key, double min, double max, int minex, int maxex)
{
    return hl_rm_ZsetFirstInScoreRange(key, min, max, minex, maxex);
}

int hl_rm_ZsetFirstInLexRange(RedisModuleKey *key, RedisModuleString *min, RedisModuleString *max)
{
    (void)key;
    (void)min;
    (void)max;
    return refuse();
}

int hl_rm_ZsetLastInLexRange(RedisModuleKey *key, RedisModuleString *min, RedisModuleString *max)
{
    return hl_rm_ZsetFirstInLexRange(key, min, max);
}

RedisModuleString *hl_rm_ZsetRangeCurrentElement(RedisModuleKey *key, double *score)
{
    (void)key;
    (void)score;
    return NULL;
}

int hl_rm_ZsetRangeNext(RedisModuleKey *key)
{
    (void)key;
    return 0;
}

int hl_rm_ZsetRangePrev(RedisModuleKey *key)
{
    (void)key;
    return 0;
}

int hl_rm_ZsetRangeEndReached(RedisModuleKey *key)
{
    (void)key;
    return 1;
}

int hl_rm_StreamAdd(RedisModuleKey *key, int flags, RedisModuleStreamID *id,
                    RedisModuleString **argv, int64_t numfields)
{
    (void)key;
    (void)flags;
    (void)id;
    (void)argv;
    (void)numfields;
    return refuse();
}

int hl_rm_StreamDelete(RedisModuleKey *key, RedisModuleStreamID *id)
{
    (void)key;
    (void)id;
    return refuse();
}

int hl_rm_StreamIteratorStart(RedisModuleKey *key, int flags, RedisModuleStreamID *startid,
                              RedisModuleStreamID *endid)
{
    (void)key;
    (void)flags;
    (void)startid;
    (void)endid;
    return refuse();
}

/* Without a running iterator: what the functions of one answer. */
static int no_iterator(void)
{
    errno = EBADF;
    return REDISMODULE_ERR;
}

int hl_rm_StreamIteratorStop(RedisModuleKey *key)
{
    (void)key;
    return no_iterator();
}

int hl_rm_StreamIteratorNextID(RedisModuleKey *key, RedisModuleStreamID *id, long *numfields)
{
    (void)key;
    (void)id;
    (void)numfields;
    return no_iterator();
}

int hl_rm_StreamIteratorNextField(RedisModuleKey *key, RedisModuleString **field_ptr,
                                  RedisModuleString **value_ptr)
{
    (void)key;
    (void)field_ptr;
    (void)value_ptr;
    return no_iterator();
}

int hl_rm_StreamIteratorDelete(RedisModuleKey *key)
{
    (void)key;
    return no_iterator();
}

long long hl_rm_StreamTrimByLength(RedisModuleKey *key, int flags, long long length)
{
    (void)key;
    (void)flags;
    (void)length;
    errno = ENOTSUP;
    return -1;
}

long long hl_rm_StreamTrimByID(RedisModuleKey *key, int flags, RedisModuleStreamID *id)
{
    (void)key;
    (void)flags;
    (void)id;
    errno = ENOTSUP;
    return -1;
}
