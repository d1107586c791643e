//! Texts that must be refused, with what is printed for them, word for word.

use super::{LEAST, faults};

/// Each text, put ahead of the least file, and its faults.
#[track_caller]
fn refuses(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let found = faults(&format!("{text}\n{LEAST}"));
        let found: Vec<&str> = found.lines().collect();
        assert_eq!(found, *expected, "in\n{text}");
    }
}

#[test]
fn keys_nobody_knows() {
    refuses(&[
        ("regoin = 'x'", &["proxy.toml:1: regoin: unknown key; did you mean region?"]),
        ("[pol]\nmax = 3", &["proxy.toml:1: [pol]: unknown table; did you mean [pool]?"]),
        ("[[users]]", &["proxy.toml:1: [[users]]: unknown table; did you mean [[user]]?"]),
        (
            "[pool]\nmin_wram = 4\nmax = 8\nmin-warm = 4",
            &[
                "proxy.toml:2: [pool] min_wram: unknown key; did you mean min_warm?",
                "proxy.toml:4: [pool] min-warm: unknown key; did you mean min_warm?",
            ],
        ),
        ("[log]\ncolour = true", &["proxy.toml:2: [log] colour: unknown key; known here: level, format, slow"]),
        (
            "[log.level]\nx = 1",
            &["proxy.toml:1: [log] level: expected a text, found a table; \
               write \"error\", \"warn\", \"info\", \"debug\" or \"trace\""],
        ),
    ]);
}

#[test]
fn numbers_and_words() {
    refuses(&[
        (
            "[route]\nprimary_down = 'wiat 3s'\n[limits]\nmax_waiting = 0",
            &[
                "proxy.toml:2: [route] primary_down = 'wiat 3s': unknown word; write \"fail\", or \"wait 30s\"",
                "proxy.toml:4: [limits] max_waiting = 0: out of range; write a number from 1 to 1000000",
            ],
        ),
        (
            "[route]\nprimary_down = 'wait 0s'",
            &["proxy.toml:2: [route] primary_down = 'wait 0s': must be longer than zero; \
               write \"fail\", or \"wait 30s\""],
        ),
        (
            "[pool]\nmin_warm = 99",
            &["proxy.toml:2: [pool] min_warm = 99: min_warm is larger than max (64); \
               lower min_warm or raise max"],
        ),
        (
            "[pool]\nmax = 0\nmode = 'transction'\nmax_parallel_dials = '4'\npipelining = true",
            &[
                "proxy.toml:2: [pool] max = 0: out of range; write a number from 1 to 100000",
                "proxy.toml:3: [pool] mode = 'transction': unknown word; \
                 did you mean \"transaction\"? (known: \"transaction\" or \"session\")",
                "proxy.toml:4: [pool] max_parallel_dials = '4': expected a whole number, \
                 found a text; write a whole number without quotes",
                "proxy.toml:5: [pool] pipelining = true: expected a text, found true or false; \
                 write \"auto\", \"on\" or \"off\"",
            ],
        ),
        (
            "[limits]\nmax_clients = -1\nmax_prepared_statements = 1.5\nmemory = '8GiB'",
            &[
                "proxy.toml:2: [limits] max_clients = -1: out of range; \
                 write a number from 1 to 1000000",
                "proxy.toml:3: [limits] max_prepared_statements = 1.5: expected a whole number, \
                 found a fraction; write a whole number without quotes",
                "proxy.toml:4: [limits] memory = '8GiB': out of range; \
                 write a size from 1048576 to 4294967295 bytes",
            ],
        ),
        (
            "[route]\nread_functions = ['f()', 3]",
            &[
                "proxy.toml:2: [route] read_functions = 'f()': not the name of a function; \
                 write the name alone, such as \"total\" or \"shop.total\"",
                "proxy.toml:2: [route] read_functions = 3: expected a text, found a number; \
                 write it in quotes",
            ],
        ),
    ]);
}

#[test]
fn durations() {
    let example = "write a duration such as \"250ms\", \"5s\", \"2m\" or \"1h\"";
    refuses(&[
        (
            "[pool]\ncheckout_timeout = 5",
            &[&format!(
                "proxy.toml:2: [pool] checkout_timeout = 5: expected a text, found a number; \
                 {example}"
            )],
        ),
        (
            "[pool]\nping_after = '5'\nconnect_timeout = '0s'",
            &[
                &format!("proxy.toml:2: [pool] ping_after = '5': the duration has no unit; {example}"),
                &format!("proxy.toml:3: [pool] connect_timeout = '0s': must be longer than zero; {example}"),
            ],
        ),
        (
            "[consistency]\nwait = 'soon'",
            &["proxy.toml:2: [consistency] wait = 'soon': not a duration in whole numbers; \
               write \"auto\" or a duration such as \"50ms\""],
        ),
    ]);
}

#[test]
fn listeners() {
    refuses(&[
        (
            "[listen]\nmysql = []\nadmin = 3\nhttp = 'unix:/x'",
            &[
                "proxy.toml:2: [listen] mysql: no address to listen on; \
                 write \"127.0.0.1:3306\" or leave it out",
                "proxy.toml:3: [listen] admin = 3: expected a text, found a number; \
                 write it in quotes; \"\" = off",
                "proxy.toml:4: [listen] http = 'unix:/x': a unix socket is not possible here; write \
                 an IP address and a port, such as \"127.0.0.1:3306\" or \"[::1]:3306\"",
            ],
        ),
        (
            "[listen]\nmysql = ['*:3306',\n  'unix:x']\nserver_version = 'x'\nunix_mode = '999'",
            &[
                "proxy.toml:2: [listen] mysql = '*:3306': the IP address is missing; \
                 write \"127.0.0.1:3306\", or \"0.0.0.0:3306\" for every interface",
                "proxy.toml:3: [listen] mysql = 'unix:x': the path of a unix socket must be \
                 absolute; write it like \"unix:/run/landbridge/mysql.sock\"",
                "proxy.toml:4: [listen] server_version = 'x': not a version drivers can parse; \
                 write it like \"8.4.0\"",
                "proxy.toml:5: [listen] unix_mode = '999': not permission bits; \
                 write octal permission bits in quotes, such as \"0660\"",
            ],
        ),
        (
            "[listen]\nmysql = '127.0.0.1:6032'\nhttp = '0.0.0.0:6032'",
            &[
                "proxy.toml:2: [listen] mysql = '127.0.0.1:6032': admin listens there as well \
                 (by default); choose another port or path",
                "proxy.toml:3: [listen] http = '0.0.0.0:6032': mysql listens there as well \
                 (on line 2); choose another port or path",
                "proxy.toml:3: [listen] http = '0.0.0.0:6032': admin listens there as well \
                 (by default); choose another port or path",
            ],
        ),
    ]);
}

#[test]
fn plaintext_beyond_this_machine() {
    let fix = "write tls = \"required\" (without tls_cert a certificate is made), \
               or allow_plaintext = true";
    refuses(&[
        (
            "[listen]\nmysql = '0.0.0.0:3306'",
            &[&format!(
                "proxy.toml:2: [listen] mysql = '0.0.0.0:3306': open to other machines, \
                 without TLS; {fix}"
            )],
        ),
        (
            "[listen]\nadmin = '[::]:6032'\ntls = 'optional'",
            &[&format!(
                "proxy.toml:3: [listen] tls = 'optional': admin on line 2 is open to other \
                 machines; {fix}"
            )],
        ),
        (
            "[listen]\ntls_cert = 'x'",
            &["proxy.toml:2: [listen] tls_cert = 'x': tls_key is missing; \
               add it, or remove tls_cert: one is useless without the other"],
        ),
        (
            "[listen]\ntls_cert = 'x'\ntls_key = 'y'\ntls = 'off'",
            &["proxy.toml:4: [listen] tls = 'off': the certificate would not be used; \
               write \"optional\" or \"required\", or remove tls_cert and tls_key"],
        ),
    ]);
}

#[test]
fn the_account_of_the_monitor() {
    refuses(&[
        (
            "[monitor]\nuser = 'x'",
            &["proxy.toml:1: [monitor]: password is missing; \
               add password or password_file, or remove user"],
        ),
        (
            "[monitor]\npassword = 'topsecret'",
            &["proxy.toml:1: [monitor]: user is missing; \
               add the name of the account, or remove the password"],
        ),
        (
            "[monitor]\nuser = 'x'\npassword_file = 'none'",
            &["proxy.toml:3: [monitor] password_file = 'none': the file cannot be read \
               (No such file or directory (os error 2)); \
               check the path (relative to this file) and who may read it"],
        ),
    ]);
}

#[test]
fn what_the_environment_gives_is_never_quoted() {
    refuses(&[
        (
            "[pool]\nmax = '${DATABASE_URL}'\nmode = '${DATABASE_URL}'\nping_after = '${NOT_SET}s'",
            &[
                "proxy.toml:2: [pool] max = '${DATABASE_URL}': the environment does not make it \
                 a whole number; set the variable to a whole number",
                "proxy.toml:3: [pool] mode = '${DATABASE_URL}': unknown word; \
                 write \"transaction\" or \"session\"",
                "proxy.toml:4: [pool] ping_after = '${NOT_SET}s': the environment variable NOT_SET \
                 is not set; set it, or write ${NOT_SET:-default}",
            ],
        ),
        (
            "region = '${'",
            &["proxy.toml:1: region = '${': a ${ without its }; \
               close it, or write $${ for the two characters themselves"],
        ),
    ]);
}

#[test]
fn what_is_not_toml_is_reported_alone() {
    refuses(&[
        (
            "[pool]\nmax = 1\nmax = 2\nmni_warm = 3",
            &["proxy.toml:3: not TOML: duplicate key; correct the syntax first"],
        ),
        (
            "[pool]\nmode = transaction\npipelining = auto",
            &[
                "proxy.toml:2: not TOML: not a value; write texts in double quotes",
                "proxy.toml:3: not TOML: not a value; write texts in double quotes",
            ],
        ),
        (
            "[pool]\npassword = \"top-secret",
            &["proxy.toml:2: not TOML: invalid basic string, expected `\"`; \
               correct the syntax first"],
        ),
    ]);
}

#[test]
fn who_may_log_in() {
    refuses(&[
        (
            "auth = 'passtrough'\nauth_recheck = 60",
            &[
                "proxy.toml:1: auth = 'passtrough': unknown word; \
                 did you mean \"passthrough\"? (known: \"file\" or \"passthrough\")",
                "proxy.toml:2: auth_recheck = 60: expected a text, found a number; \
                 write a duration such as \"250ms\", \"5s\", \"2m\" or \"1h\"",
            ],
        ),
        ("auht = 'file'", &["proxy.toml:1: auht: unknown key; did you mean auth?"]),
    ]);
    let server = "[[server]]\nname = 'p'\naddress = 'db.example.com'\nrole = 'primary'\n";
    assert_eq!(
        faults(server),
        "proxy.toml: [[user]]: no user is listed; add one with name and password, or write auth = \"passthrough\" at the top"
    );
    assert_eq!(
        faults(&format!("auth = 'passthrough'\n{server}")),
        "proxy.toml: [monitor]: user is missing; add user and password of an account for the probes: \
         no [[user]] is listed whose it could use"
    );
}

#[test]
fn tables_of_the_wrong_kind() {
    refuses(&[(
        "monitor = 3\npool = []",
        &[
            "proxy.toml:1: [monitor]: expected a table, found a number; \
             write [monitor] on a line of its own",
            "proxy.toml:2: [pool]: expected a table, found a list; \
             write [pool] on a line of its own",
        ],
    )]);
}

#[test]
fn terminals_are_not_written_to() {
    refuses(&[(
        "region = '\u{9b}31m\u{202e}'\n\"\\u001b[31m\" = 1\n[log]\nlevel = '''two\nlines'''",
        &[
            "proxy.toml:1: region = '\\u{9b}31m\\u{202e}': not a name; write at least one \
             character, no control characters, no space at either end",
            "proxy.toml:2: \\u{1b}[31m: unknown key; known here: region, auth, auth_recheck, [listen], [route], \
             [[server]], [pool], [[user]], [monitor], [consistency], [[rule]], [limits], [log], [shutdown], [admin]",
            "proxy.toml:4: [log] level = '''two..: unknown word; \
             write \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
        ],
    )]);
}
