//! What a call `name(` means: a built-in without effect, one with an effect, or unknown code.
//!
//! Only names that are functions in every supported version of the family may be taken for
//! harmless: a name that is free somewhere may be somebody's stored function there. (MariaDB calls
//! a stored `POINT` when the arguments do not fit the built-in one; that, too, is free.) MySQL 5.7 is
//! judged like 8.x. Each list is sorted; a test holds it so.

use super::{Mode, Traits};

/// What calling a name does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Syntax, or a function that only computes.
    None,
    /// Answers about the connection.
    Reads(Traits),
    /// Changes the session or waits for a server's state.
    Acts(Traits),
    /// Answers about the server.
    Local,
    /// `LAST_INSERT_ID`: depends on its arguments.
    LastInsertId,
    /// Not a known built-in.
    Unknown,
}

/// The effect of `name` directly or, with `gap`, loosely followed by `(`.
pub(super) fn effect(name: &[u8], gap: bool, mode: Mode) -> Effect {
    let mut buffer = [0; 40];
    let Some(upper) = upper(name, &mut buffer) else { return Effect::Unknown };
    // These names are functions only when `(` follows directly; otherwise the server looks for a
    // stored function (or fails), unless IGNORE_SPACE is set.
    if gap && (holds(&GAP_SENSITIVE, upper) || (mode.mariadb && holds(&MARIADB_GAP_SENSITIVE, upper))) {
        return Effect::Unknown;
    }
    let family: &[&str] = if mode.mariadb { &MARIADB } else { &MYSQL };
    if holds(&COMMON, upper) || holds(&SYNTAX, upper) {
        return if holds(&NON_DETERMINISTIC, upper) { Effect::Reads(Traits::NON_DETERMINISTIC) } else { Effect::None };
    }
    if holds(family, upper) {
        return Effect::None;
    }
    SPECIAL
        .binary_search_by(|(name, _)| name.as_bytes().cmp(upper))
        .ok()
        .and_then(|at| SPECIAL.get(at))
        .map_or(Effect::Unknown, |(_, effect)| *effect)
}

/// True for functions whose value follows from their arguments alone, in the same session.
pub(super) fn is_pure(name: &[u8]) -> bool {
    let mut buffer = [0; 40];
    upper(name, &mut buffer).is_some_and(|upper| holds(&PURE, upper))
}

/// True for names that yield the time or the user even without parentheses.
pub(super) fn is_niladic(name: &[u8]) -> bool {
    let mut buffer = [0; 40];
    upper(name, &mut buffer).is_some_and(|upper| holds(&NILADIC, upper))
}

fn upper<'b>(name: &[u8], buffer: &'b mut [u8; 40]) -> Option<&'b [u8]> {
    let upper = buffer.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    Some(upper)
}

fn holds(list: &[&str], name: &[u8]) -> bool {
    list.binary_search_by(|entry| entry.as_bytes().cmp(name)).is_ok()
}

#[rustfmt::skip]
/// Built-in functions that do more than compute, and what.
static SPECIAL: [(&str, Effect); 24] = [
    ("BINLOG_GTID_POS", Effect::Local),
    ("CONNECTION_ID", Effect::Reads(Traits::USES_CONNECTION_ID)),
    ("FOUND_ROWS", Effect::Reads(Traits::USES_FOUND_ROWS)),
    ("GET_LOCK", Effect::Acts(Traits::NAMED_LOCK)),
    ("IS_FREE_LOCK", Effect::Acts(Traits::NONE)),
    ("IS_USED_LOCK", Effect::Acts(Traits::NONE)),
    ("LASTVAL", Effect::Acts(Traits::USES_LAST_DRAW)),
    ("LAST_INSERT_ID", Effect::LastInsertId),
    ("LOAD_FILE", Effect::Local),
    ("MASTER_GTID_WAIT", Effect::Acts(Traits::NONE)),
    ("MASTER_POS_WAIT", Effect::Acts(Traits::NONE)),
    ("NEXTVAL", Effect::Acts(Traits::DRAWS_FROM_SEQUENCE)),
    ("PS_CURRENT_THREAD_ID", Effect::Reads(Traits::USES_CONNECTION_ID)),
    ("PS_THREAD_ID", Effect::Local),
    ("RELEASE_ALL_LOCKS", Effect::Acts(Traits::RELEASES_ALL_NAMED_LOCKS)),
    ("RELEASE_LOCK", Effect::Acts(Traits::RELEASES_NAMED_LOCK)),
    ("ROW_COUNT", Effect::Reads(Traits::USES_ROW_COUNT)),
    ("SETVAL", Effect::Acts(Traits::NONE)),
    ("SOURCE_POS_WAIT", Effect::Acts(Traits::NONE)),
    ("WAIT_FOR_EXECUTED_GTID_SET", Effect::Acts(Traits::NONE)),
    ("WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS", Effect::Acts(Traits::NONE)),
    ("WSREP_LAST_SEEN_GTID", Effect::Acts(Traits::USES_LAST_OF_CONNECTION)),
    ("WSREP_LAST_WRITTEN_GTID", Effect::Acts(Traits::USES_LAST_OF_CONNECTION)),
    ("WSREP_SYNC_WAIT_UPTO_GTID", Effect::Acts(Traits::NONE)),
];

#[rustfmt::skip]
/// Functions of both families that only compute.
static COMMON: [&str; 321] = [
    "ABS", "ACOS", "ADDDATE", "ADDTIME", "AES_DECRYPT", "AES_ENCRYPT", "ASCII", "ASIN", "ATAN",
    "ATAN2", "AVG", "BENCHMARK", "BIN", "BIT_AND", "BIT_COUNT", "BIT_LENGTH", "BIT_OR", "BIT_XOR",
    "CAST", "CEIL", "CEILING", "CHARACTER_LENGTH", "CHARSET", "CHAR_LENGTH", "COALESCE",
    "COERCIBILITY", "COLLATION", "COMPRESS", "CONCAT", "CONCAT_WS", "CONV", "CONVERT",
    "CONVERT_TZ", "COS", "COT", "COUNT", "CRC32", "CUME_DIST", "CURDATE", "CURRENT_DATE",
    "CURRENT_ROLE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER", "CURTIME", "DATABASE",
    "DATE", "DATEDIFF", "DATE_ADD", "DATE_FORMAT", "DATE_SUB", "DAY", "DAYNAME", "DAYOFMONTH",
    "DAYOFWEEK", "DAYOFYEAR", "DEFAULT", "DEGREES", "DENSE_RANK", "ELT", "EXP", "EXPORT_SET",
    "EXTRACT", "EXTRACTVALUE", "FIELD", "FIND_IN_SET", "FIRST_VALUE", "FLOOR", "FORMAT",
    "FROM_BASE64", "FROM_DAYS", "FROM_UNIXTIME", "GET_FORMAT", "GREATEST", "GROUP_CONCAT", "HEX",
    "HOUR", "IF", "IFNULL", "INET6_ATON", "INET6_NTOA", "INET_ATON", "INET_NTOA", "INSERT",
    "INSTR", "INTERVAL", "ISNULL", "IS_IPV4", "IS_IPV4_COMPAT", "IS_IPV4_MAPPED", "IS_IPV6",
    "JSON_ARRAY", "JSON_ARRAYAGG", "JSON_ARRAY_APPEND", "JSON_ARRAY_INSERT", "JSON_CONTAINS",
    "JSON_CONTAINS_PATH", "JSON_DEPTH", "JSON_EXTRACT", "JSON_INSERT", "JSON_KEYS", "JSON_LENGTH",
    "JSON_MERGE", "JSON_MERGE_PATCH", "JSON_MERGE_PRESERVE", "JSON_OBJECT", "JSON_OBJECTAGG",
    "JSON_QUOTE", "JSON_REMOVE", "JSON_REPLACE", "JSON_SEARCH", "JSON_SET", "JSON_TYPE",
    "JSON_UNQUOTE", "JSON_VALID", "JSON_VALUE", "LAG", "LAST_DAY", "LAST_VALUE", "LCASE", "LEAD",
    "LEAST", "LEFT", "LENGTH", "LN", "LOCALTIME", "LOCALTIMESTAMP", "LOCATE", "LOG", "LOG10",
    "LOG2", "LOWER", "LPAD", "LTRIM", "MAKEDATE", "MAKETIME", "MAKE_SET", "MAX", "MBRCONTAINS",
    "MBRDISJOINT", "MBREQUALS", "MBRINTERSECTS", "MBROVERLAPS", "MBRTOUCHES", "MBRWITHIN", "MD5",
    "MICROSECOND", "MID", "MIN", "MINUTE", "MOD", "MONTH", "MONTHNAME", "NAME_CONST", "NOW",
    "NTH_VALUE", "NTILE", "NULLIF", "OCT", "OCTET_LENGTH", "ORD", "PERCENT_RANK", "PERIOD_ADD",
    "PERIOD_DIFF", "PI", "POSITION", "POW", "POWER", "QUARTER", "QUOTE", "RADIANS", "RAND",
    "RANK", "REGEXP_INSTR", "REGEXP_REPLACE", "REGEXP_SUBSTR", "REPEAT", "REPLACE", "REVERSE",
    "RIGHT", "ROUND", "ROW_NUMBER", "RPAD", "RTRIM", "SCHEMA", "SECOND", "SEC_TO_TIME",
    "SESSION_USER", "SHA", "SHA1", "SHA2", "SIGN", "SIN", "SLEEP", "SOUNDEX", "SPACE", "SQRT",
    "STD", "STDDEV", "STDDEV_POP", "STDDEV_SAMP", "STRCMP", "STR_TO_DATE", "ST_AREA",
    "ST_ASBINARY", "ST_ASGEOJSON", "ST_ASTEXT", "ST_ASWKB", "ST_ASWKT", "ST_BUFFER",
    "ST_CENTROID", "ST_CONTAINS", "ST_CONVEXHULL", "ST_CROSSES", "ST_DIFFERENCE", "ST_DIMENSION",
    "ST_DISJOINT", "ST_DISTANCE", "ST_DISTANCE_SPHERE", "ST_ENDPOINT", "ST_ENVELOPE", "ST_EQUALS",
    "ST_EXTERIORRING", "ST_GEOMCOLLFROMTEXT", "ST_GEOMCOLLFROMWKB",
    "ST_GEOMETRYCOLLECTIONFROMTEXT", "ST_GEOMETRYCOLLECTIONFROMWKB", "ST_GEOMETRYFROMTEXT",
    "ST_GEOMETRYFROMWKB", "ST_GEOMETRYN", "ST_GEOMETRYTYPE", "ST_GEOMFROMGEOJSON",
    "ST_GEOMFROMTEXT", "ST_GEOMFROMWKB", "ST_INTERIORRINGN", "ST_INTERSECTION", "ST_INTERSECTS",
    "ST_ISCLOSED", "ST_ISEMPTY", "ST_ISSIMPLE", "ST_LENGTH", "ST_LINEFROMTEXT", "ST_LINEFROMWKB",
    "ST_LINESTRINGFROMTEXT", "ST_LINESTRINGFROMWKB", "ST_MLINEFROMTEXT", "ST_MLINEFROMWKB",
    "ST_MPOINTFROMTEXT", "ST_MPOINTFROMWKB", "ST_MPOLYFROMTEXT", "ST_MPOLYFROMWKB",
    "ST_MULTILINESTRINGFROMTEXT", "ST_MULTILINESTRINGFROMWKB", "ST_MULTIPOINTFROMTEXT",
    "ST_MULTIPOINTFROMWKB", "ST_MULTIPOLYGONFROMTEXT", "ST_MULTIPOLYGONFROMWKB",
    "ST_NUMGEOMETRIES", "ST_NUMINTERIORRINGS", "ST_NUMPOINTS", "ST_OVERLAPS", "ST_POINTFROMTEXT",
    "ST_POINTFROMWKB", "ST_POINTN", "ST_POLYFROMTEXT", "ST_POLYFROMWKB", "ST_POLYGONFROMTEXT",
    "ST_POLYGONFROMWKB", "ST_SRID", "ST_STARTPOINT", "ST_SYMDIFFERENCE", "ST_TOUCHES", "ST_UNION",
    "ST_WITHIN", "ST_X", "ST_Y", "SUBDATE", "SUBSTR", "SUBSTRING", "SUBSTRING_INDEX", "SUBTIME",
    "SUM", "SYSDATE", "SYSTEM_USER", "TAN", "TIME", "TIMEDIFF", "TIMESTAMP", "TIMESTAMPADD",
    "TIMESTAMPDIFF", "TIME_FORMAT", "TIME_TO_SEC", "TO_BASE64", "TO_DAYS", "TO_SECONDS", "TRIM",
    "TRUNCATE", "UCASE", "UNCOMPRESS", "UNCOMPRESSED_LENGTH", "UNHEX", "UNIX_TIMESTAMP",
    "UPDATEXML", "UPPER", "USER", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "UUID", "UUID_SHORT",
    "VALUES", "VARIANCE", "VAR_POP", "VAR_SAMP", "VERSION", "WEEK", "WEEKDAY", "WEEKOFYEAR",
    "WEIGHT_STRING", "YEAR", "YEARWEEK",
];

#[rustfmt::skip]
/// Functions of MySQL alone that only compute.
static MYSQL: [&str; 52] = [
    "ANY_VALUE", "BIN_TO_UUID", "FORMAT_BYTES", "FORMAT_PICO_TIME", "GEOMETRYCOLLECTION",
    "GROUPING", "GTID_SUBSET", "GTID_SUBTRACT", "ICU_VERSION", "IS_UUID", "JSON_OVERLAPS",
    "JSON_PRETTY", "JSON_SCHEMA_VALID", "JSON_SCHEMA_VALIDATION_REPORT", "JSON_STORAGE_FREE",
    "JSON_STORAGE_SIZE", "LINESTRING", "MBRCOVEREDBY", "MBRCOVERS", "MULTILINESTRING",
    "MULTIPOINT", "MULTIPOLYGON", "POINT", "POLYGON", "RANDOM_BYTES", "REGEXP_LIKE",
    "ROLES_GRAPHML", "STATEMENT_DIGEST", "STATEMENT_DIGEST_TEXT", "ST_BUFFER_STRATEGY",
    "ST_COLLECT", "ST_FRECHETDISTANCE", "ST_GEOHASH", "ST_GEOMCOLLFROMTXT",
    "ST_HAUSDORFFDISTANCE", "ST_ISVALID", "ST_LATFROMGEOHASH", "ST_LATITUDE",
    "ST_LINEINTERPOLATEPOINT", "ST_LINEINTERPOLATEPOINTS", "ST_LONGFROMGEOHASH", "ST_LONGITUDE",
    "ST_MAKEENVELOPE", "ST_NUMINTERIORRING", "ST_POINTATDISTANCE", "ST_POINTFROMGEOHASH",
    "ST_SIMPLIFY", "ST_SWAPXY", "ST_TRANSFORM", "ST_VALIDATE", "UUID_TO_BIN",
    "VALIDATE_PASSWORD_STRENGTH",
];

#[rustfmt::skip]
/// Functions of MariaDB alone that only compute.
static MARIADB: [&str; 102] = [
    "ADD_MONTHS", "AREA", "ASBINARY", "ASTEXT", "ASWKB", "ASWKT", "BOUNDARY", "BUFFER",
    "CENTROID", "CHR", "COLUMN_ADD", "COLUMN_CHECK", "COLUMN_CREATE", "COLUMN_DELETE",
    "COLUMN_EXISTS", "COLUMN_GET", "COLUMN_JSON", "COLUMN_LIST", "CONVEXHULL", "CROSSES",
    "DECODE", "DECODE_HISTOGRAM", "DES_DECRYPT", "DES_ENCRYPT", "DIMENSION", "DISJOINT", "ENCODE",
    "ENCRYPT", "ENDPOINT", "ENVELOPE", "EQUALS", "EXTERIORRING", "GEOMCOLLFROMTEXT",
    "GEOMCOLLFROMWKB", "GEOMETRYCOLLECTIONFROMTEXT", "GEOMETRYCOLLECTIONFROMWKB",
    "GEOMETRYFROMTEXT", "GEOMETRYFROMWKB", "GEOMETRYN", "GEOMETRYTYPE", "GEOMFROMTEXT",
    "GEOMFROMWKB", "GLENGTH", "INTERIORRINGN", "INTERSECTS", "ISCLOSED", "ISEMPTY", "ISRING",
    "ISSIMPLE", "JSON_COMPACT", "JSON_DETAILED", "JSON_EXISTS", "JSON_LOOSE", "JSON_QUERY",
    "LENGTHB", "LINEFROMTEXT", "LINEFROMWKB", "LINESTRINGFROMTEXT", "LINESTRINGFROMWKB",
    "MBREQUAL", "MEDIAN", "MLINEFROMTEXT", "MLINEFROMWKB", "MPOINTFROMTEXT", "MPOINTFROMWKB",
    "MPOLYFROMTEXT", "MPOLYFROMWKB", "MULTILINESTRINGFROMTEXT", "MULTILINESTRINGFROMWKB",
    "MULTIPOINTFROMTEXT", "MULTIPOINTFROMWKB", "MULTIPOLYGONFROMTEXT", "MULTIPOLYGONFROMWKB",
    "NUMGEOMETRIES", "NUMINTERIORRINGS", "NUMPOINTS", "NVL", "NVL2", "OLD_PASSWORD", "PASSWORD",
    "PERCENTILE_CONT", "PERCENTILE_DISC", "POINTFROMTEXT", "POINTFROMWKB", "POINTN",
    "POINTONSURFACE", "POLYFROMTEXT", "POLYFROMWKB", "POLYGONFROMTEXT", "POLYGONFROMWKB", "SRID",
    "STARTPOINT", "ST_BOUNDARY", "ST_ISRING", "ST_POINTONSURFACE", "ST_RELATE", "SYS_GUID",
    "TOUCHES", "TO_CHAR", "WITHIN", "X", "Y",
];

#[rustfmt::skip]
/// Keywords and types that may stand before `(` and cannot be called.
static SYNTAX: [&str; 69] = [
    "ALL", "AND", "ANY", "AS", "BETWEEN", "BIGINT", "BINARY", "BOTH", "BY", "CASE", "CHAR",
    "CHARACTER", "COLLATE", "DEC", "DECIMAL", "DISTINCT", "DISTINCTROW", "DIV", "DOUBLE", "ELSE",
    "EXCEPT", "EXISTS", "FLOAT", "FOR", "FROM", "HAVING", "IN", "INDEX", "INT", "INTEGER", "IS",
    "JOIN", "KEY", "LEADING", "LIKE", "LIMIT", "MATCH", "MEDIUMINT", "NCHAR", "NOT", "NUMERIC",
    "ON", "OR", "OVER", "PARTITION", "REAL", "REGEXP", "RLIKE", "ROW", "SELECT", "SET", "SIGNED",
    "SMALLINT", "SOME", "STRAIGHT_JOIN", "TABLE", "THEN", "TINYINT", "TRAILING", "UNION",
    "UNSIGNED", "USING", "VALUE", "VARBINARY", "VARCHAR", "WHEN", "WHERE", "WITH", "XOR",
];

#[rustfmt::skip]
/// Functions that must touch their `(`.
static GAP_SENSITIVE: [&str; 40] = [
    "ADDDATE", "BIT_AND", "BIT_OR", "BIT_XOR", "CAST", "COUNT", "CURDATE", "CURTIME", "DATE_ADD",
    "DATE_SUB", "EXTRACT", "GROUP_CONCAT", "JSON_ARRAYAGG", "JSON_OBJECTAGG", "LAG", "LEAD",
    "MAX", "MEDIAN", "MID", "MIN", "NOW", "PERCENTILE_CONT", "PERCENTILE_DISC", "POSITION",
    "SESSION_USER", "STD", "STDDEV", "STDDEV_POP", "STDDEV_SAMP", "ST_COLLECT", "SUBDATE",
    "SUBSTR", "SUBSTRING", "SUM", "SYSDATE", "SYSTEM_USER", "TRIM", "VARIANCE", "VAR_POP",
    "VAR_SAMP",
];

#[rustfmt::skip]
/// Further ones of MariaDB.
static MARIADB_GAP_SENSITIVE: [&str; 9] = [
    "CUME_DIST", "DENSE_RANK", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE", "NTILE", "PERCENT_RANK",
    "RANK", "ROW_NUMBER",
];

#[rustfmt::skip]
/// Functions of either family that answer differently each time.
static NON_DETERMINISTIC: [&str; 19] = [
    "CURDATE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURTIME", "LOCALTIME",
    "LOCALTIMESTAMP", "NOW", "RAND", "RANDOM_BYTES", "SLEEP", "SYSDATE", "SYS_GUID",
    "UNIX_TIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "UUID", "UUID_SHORT",
];

#[rustfmt::skip]
/// See [`is_pure`].
static PURE: [&str; 32] = [
    "ABS", "CAST", "CEIL", "CEILING", "COALESCE", "CONCAT", "CONCAT_WS", "CONVERT", "FIELD",
    "FIND_IN_SET", "FLOOR", "GREATEST", "IF", "IFNULL", "INSTR", "ISNULL", "LEAST", "LEFT",
    "LENGTH", "LOCATE", "LOWER", "LTRIM", "NULLIF", "REPLACE", "RIGHT", "ROUND", "RTRIM",
    "SUBSTR", "SUBSTRING", "SUBSTRING_INDEX", "TRIM", "UPPER",
];

#[rustfmt::skip]
/// See [`is_niladic`].
static NILADIC: [&str; 10] = [
    "CURRENT_DATE", "CURRENT_ROLE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER",
    "LOCALTIME", "LOCALTIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_disjoint() {
        let special: Vec<&str> = SPECIAL.iter().map(|(name, _)| *name).collect();
        let lists: [&[&str]; 9] = [
            &special,
            &COMMON,
            &MYSQL,
            &MARIADB,
            &SYNTAX,
            &GAP_SENSITIVE,
            &MARIADB_GAP_SENSITIVE,
            &NON_DETERMINISTIC,
            &PURE,
        ];
        for list in lists {
            assert!(list.is_sorted_by(|a, b| a < b), "{list:?}");
            assert!(list.iter().all(|name| name.len() <= 40));
        }
        for name in special {
            assert!([&COMMON[..], &MYSQL, &MARIADB, &SYNTAX].iter().all(|l| !l.contains(&name)));
        }
    }
}
