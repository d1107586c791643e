# What an application on Perl's DBI does, printed. Run against a server and against Landbridge, the
# output must be the same: perl dbi.pl mysql|MariaDB HOST PORT USER PASSWORD on|off
use strict;
use warnings;
use DBI qw(:sql_types);
use Data::Dumper;
use Digest::MD5 qw(md5_hex);
use File::Basename;
use File::Temp;

my ($driver, $host, $port, $user, $password, $tls) = @ARGV;
my $own = lc $driver;    # the prefix of the driver's own attributes
my $big = $tls eq 'off' ? 20_000_000 : 200_000;
$Data::Dumper::Terse = $Data::Dumper::Sortkeys = $Data::Dumper::Useqq = 1;
$Data::Dumper::Indent = 0;

sub connection {
    my %more = @_;
    my $dsn = "DBI:$driver:database=app;host=$host;port=$port";
    # Optional: without that, what Debian builds cannot accept a certificate it does not know.
    $dsn .= ";${own}_ssl=1;${own}_ssl_optional=1" if $tls eq 'on';
    my %options = (RaiseError => 1, PrintError => 0, ShowErrorStatement => 0, %more);
    $options{mysql_enable_utf8mb4} = 1 if $driver eq 'mysql';
    return DBI->connect($dsn, $user, $password, \%options);
}

sub short {
    my $value = shift;
    return [map { short($_) } @$value] if ref $value;
    return $value unless defined $value && length $value > 200;
    utf8::encode($value) if utf8::is_utf8($value);
    return [length $value, md5_hex($value)];
}

sub show { print shift, ': ', join(' ', map { Dumper(short($_)) } @_), "\n" }

sub attempt {
    my ($db, $work) = @_;
    show('succeeded', $work->()) if eval { $work->(); 1 } or return show('error', $db->err, $db->state, $db->errstr);
}

sub columns {
    my $st = shift;
    my @own = map { $st->{"${own}_$_"} } qw(is_auto_increment is_blob is_key is_num is_pri_key length max_length table type type_name);
    show('columns', @$st{qw(NAME TYPE PRECISION SCALE NULLABLE)}, @own);
}

open my $types, '<', dirname(__FILE__) . '/types.sql' or die;
my @types = map { s/\n//r } <$types>;
my $db = connection();
$db->do("SET NAMES utf8mb4");
show('types', $db->do($_), $db->{"${own}_insertid"}) for @types;

# Prepared by the driver, and by the server.
for my $server (0, 1) {
    my %how = ("${own}_server_prepare" => $server, $driver eq 'mysql' ? (mysql_server_prepare_disable_fallback => 1) : ());
    my $base = 100 * ($server + 1);
    my $select = $db->prepare('SELECT * FROM types_t WHERE n = ? OR s = ? ORDER BY id', \%how);
    for my $n (1, 2, 3, 99) {
        $select->execute($n, 'nobody');
        columns($select) if $n == 1;
        show('rows', $select->rows, $select->fetchall_arrayref);
    }
    my $insert = $db->prepare('INSERT INTO types_t (n, s, b, d, price, g, big) VALUES (?, ?, ?, ?, ?, ?, ?)', \%how);
    $insert->bind_param(3, undef, SQL_BLOB);
    for my $row (["h\x{e9} \x{1F600}", "\0\xff'", '2026-02-28', '1.50', 0.25, '-9223372036854775808'], [(undef) x 6]) {
        my $count = $insert->execute($base + defined $row->[0], @$row);
        show('insert', $count, $insert->{"${own}_insertid"}, $db->last_insert_id((undef) x 4));
    }
    show('inserted', $db->selectall_arrayref('SELECT n, s, b, d, price, g, big FROM types_t WHERE n BETWEEN ? AND ?', \%how, $base, $base + 1));
    my $update = $db->prepare('UPDATE types_t SET b = ? WHERE n = ?', \%how);
    $update->bind_param(1, "ab" x ($big / 2), SQL_BLOB);
    $update->bind_param(2, $base, SQL_INTEGER);
    show('update', $update->execute, $update->rows);
    show('big row', $db->selectrow_array("SELECT b, REPEAT('x', $big) FROM types_t WHERE n = ?", \%how, $base));
    for my $sql ('INSERT INTO types_t (n) VALUES (1)', 'SELECT * FROM nowhere', 'SELEC', "INSERT INTO types_t (n) VALUES ('x')") {
        attempt($db, sub { $db->do($sql, \%how) });
    }
    attempt($db, sub { $db->selectall_arrayref('SELECT CAST(? AS CHAR)', \%how, 'after the errors') });
    $db->do('INSERT IGNORE INTO types_t (n) VALUES (1)', \%how);
    show('warnings', $db->{"${own}_warning_count"}, $db->selectall_arrayref('SHOW WARNINGS'));
    $db->selectall_arrayref('SELECT SQL_CALC_FOUND_ROWS n FROM types_t LIMIT 1', \%how);
    show('found rows', $db->selectrow_array('SELECT FOUND_ROWS()', \%how));
    my $call = $db->prepare('CALL types_p(2, @total)', $server ? {} : \%how);
    $call->execute;
    do { show('result', $call->fetchall_arrayref) if $call->{NUM_OF_FIELDS} } while $call->more_results;
    show('out', $db->selectrow_array('SELECT @total', \%how));
    # On what the server prepared, streaming is broken in both drivers.
    next if $server;
    my $stream = $db->prepare('SELECT a.n FROM types_t a, types_t b, types_t c, types_t d', { %how, "${own}_use_result" => 1 });
    $stream->execute;
    my $count = 0;
    $count++ while $stream->fetchrow_arrayref;
    show('streamed', $count);
}

# Transactions.
for my $end (qw(rollback commit)) {
    $db->begin_work;
    $db->do('UPDATE types_t SET s = ? WHERE n = 1', undef, $end);
    show('inside', $db->selectrow_array('SELECT s FROM types_t WHERE n = 1'));
    $db->$end;
    show('after', $db->{AutoCommit}, $db->selectrow_array('SELECT s FROM types_t WHERE n = 1'));
}
$db->{AutoCommit} = 0;
$db->do('DELETE FROM types_t WHERE n = 1');
$db->rollback;
$db->{AutoCommit} = 1;
show('autocommit', $db->selectrow_array('SELECT COUNT(*), @@autocommit FROM types_t WHERE n = 1'));

# What the driver asks of the schema.
show('keys', $db->primary_key(undef, 'app', 'types_t'));
show('tables', grep { /types_t/ } $db->tables(undef, 'app', '%', 'TABLE'));
# DBD::MariaDB cannot read how MySQL tells this.
show('column info', [map { [@$_{qw(COLUMN_NAME DATA_TYPE TYPE_NAME COLUMN_SIZE IS_NULLABLE)}] } @{ $db->column_info(undef, 'app', 'types_t', '%')->fetchall_arrayref({}) }]) unless $driver eq 'MariaDB';
show('ping', $db->ping);
$db->disconnect;

# Several statements, and a file of the client.
my $several = connection("${own}_multi_statements" => 1, "${own}_local_infile" => 1);
my $st = $several->prepare('SELECT 1 AS a; UPDATE types_t SET s = "multi" WHERE n < 3; SELECT 2 AS b, NULL AS c', { "${own}_server_prepare" => 0 });
$st->execute;
do { show('several', $st->{NUM_OF_FIELDS} ? $st->fetchall_arrayref : $st->rows) } while $st->more_results;
my $file = File::Temp->new;
print $file map { "$_\tline $_\n" } 2000 .. 2499;
$file->flush;
show('loaded', $several->do("LOAD DATA LOCAL INFILE '$file' INTO TABLE types_t (n, s)"), $several->{"${own}_info"});
show('lines', $several->selectrow_array('SELECT COUNT(*), MAX(s) FROM types_t WHERE n >= 2000'));
$several->disconnect;
