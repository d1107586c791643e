# What an application on Ruby's mysql2 does, printed. Run against a server and against Landbridge, the
# output must be the same: ruby mysql2.rb HOST PORT USER PASSWORD on|off
require "digest"
require "mysql2"
require "tempfile"
require "time"

HOST, PORT, USER, PASSWORD, TLS = ARGV
TYPES = File.readlines(File.join(__dir__, "types.sql"), chomp: true, encoding: "UTF-8")
BIG = TLS == "off" ? 20_000_000 : 200_000

def connect(**more)
  Mysql2::Client.new(host: HOST, port: PORT.to_i, username: USER, password: PASSWORD, database: "app", encoding: "utf8mb4",
                     database_timezone: :utc, **(TLS == "on" ? { sslcipher: "ALL" } : {}), **more)
end

def short(value)
  case value
  when String then value.bytesize > 200 ? [value.bytesize, Digest::MD5.hexdigest(value)] : [value, value.encoding.to_s]
  when Time, Date, DateTime then [value.class, value.iso8601]
  when BigDecimal then value.to_s
  when Array then value.map { |v| short(v) }
  when Hash then value.transform_values { |v| short(v) }
  else value
  end
end

def show(what, *values)
  puts "#{what}: #{values.map { |v| short(v).inspect }.join(' ')}"
end

def attempt
  show "succeeded", yield
rescue Mysql2::Error => e
  show "error", e.class, e.error_number, e.sql_state, e.message
end

client = connect
TYPES.each { |statement| show "types", client.query(statement).nil?, client.affected_rows, client.last_id }

# Text and prepared.
result = client.query("SELECT * FROM types_t ORDER BY id")
show "columns", result.fields, (result.respond_to?(:field_types) ? result.field_types : nil)
result.each { |row| show "text", row }
client.query("SELECT * FROM types_t ORDER BY id", cast: false, as: :array).each { |row| show "uncast", row }
# Without the TIME, which the driver cannot read from a prepared statement where it is negative.
names = %w[id n tiny big ubig price f g c s body b v d dt ts y bits e flags j].join(", ")
select = client.prepare("SELECT #{names} FROM types_t WHERE n = ? OR s = ?")
show "parameters", select.param_count, select.fields
[1, 2, 3, 99].each { |n| show "prepared", select.execute(n, "nobody").to_a }
select.close
insert = client.prepare("INSERT INTO types_t (n, s, b, d, dt, price, g, big) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
[["h\u00e9 \u{1F600}", "\0\xFF'".b, Date.new(2026, 2, 28), Time.utc(2026, 2, 28, 23, 59, 59, 125), BigDecimal("1.50"), 0.1, -2**63], [nil] * 7].each_with_index do |row, n|
  insert.execute(10 + n, *row)
  show "insert", insert.affected_rows, insert.last_id
end
show "inserted", client.query("SELECT n, s, b, d, dt, price, g, big FROM types_t WHERE n IN (10, 11) ORDER BY n").to_a
client.prepare("UPDATE types_t SET b = ? WHERE n = 10").execute("\0\xFF".b * (BIG / 2))
show "big row, prepared", client.prepare("SELECT b, REPEAT('x', ?) AS x FROM types_t WHERE n = 10").execute(BIG).first
show "big row, text", client.query("SELECT b, REPEAT('x', #{BIG}) AS x FROM types_t WHERE n = 10").first
show "update", client.query("UPDATE types_t SET s = 'same' WHERE n < 10"), client.affected_rows, client.query_info, client.query_info_string

# Errors and what a statement leaves.
["INSERT INTO types_t (n) VALUES (1)", "SELECT * FROM nowhere", "SELEC", "INSERT INTO types_t (n) VALUES ('x')"].each do |sql|
  attempt { client.query(sql) }
  attempt { client.prepare(sql).execute }
end
attempt { client.prepare("SELECT ? AS after_the_errors").execute("still here").to_a }
client.query("INSERT IGNORE INTO types_t (n) VALUES (1)")
show "warnings", client.warning_count, client.query("SHOW WARNINGS").to_a
client.query("SELECT SQL_CALC_FOUND_ROWS n FROM types_t LIMIT 1")
show "found rows", client.query("SELECT FOUND_ROWS() AS n").to_a
show "escaped", client.query("SELECT '#{client.escape("it's \\ \"")}' AS v").to_a

# Transactions.
%w[ROLLBACK COMMIT].each do |finish|
  client.query("BEGIN")
  client.query("UPDATE types_t SET s = '#{finish}' WHERE n = 1")
  show "inside", client.query("SELECT s FROM types_t WHERE n = 1").to_a
  client.query(finish)
  show "after", client.query("SELECT s FROM types_t WHERE n = 1").to_a
end

# Several results.
several = connect(flags: Mysql2::Client::MULTI_STATEMENTS)
["SELECT 1 AS a; UPDATE types_t SET s = 'multi' WHERE n < 3; SELECT 2 AS b, NULL AS c", "CALL types_p(2, @total)", "SELECT 1; SELECT * FROM nowhere; SELECT 2"].each do |sql|
  result = several.query(sql)
  attempt do
    loop do
      show "result", result&.to_a, several.affected_rows
      break unless several.next_result
      result = several.store_result
    end
    several.query("SELECT @total").to_a
  end
end
several.set_server_option(Mysql2::Client::OPTION_MULTI_STATEMENTS_OFF)
attempt { several.query("SELECT 1; SELECT 2") }
several.close

# Reading as it comes, and while something else is done.
count = 0
client.query("SELECT a.n, REPEAT('r', 100) AS r FROM types_t a, types_t b, types_t c LIMIT 50000", stream: true, cache_rows: false).each { |row| count += row["r"].size }
show "streamed", count
# A cursor of the server.
cursor = client.prepare("SELECT a.n FROM types_t a, types_t b WHERE a.n > ? ORDER BY a.n, b.n")
2.times { |n| show "cursor", cursor.execute(n, stream: true, cache_rows: false).sum { |row| row["n"] } }
cursor.close
client.query("SELECT SLEEP(0.05), 'later' AS v", async: true)
show "asynchronous", client.async_result.to_a

# A file of the client.
Tempfile.create(["lines", ".tsv"]) do |file|
  file.write((2000...2500).map { |n| "#{n}\tline #{n}\n" }.join)
  file.flush
  local = connect(local_infile: true)
  local.query("LOAD DATA LOCAL INFILE '#{file.path}' INTO TABLE types_t (n, s)")
  show "loaded", local.affected_rows, local.query_info, local.query("SELECT COUNT(*), MAX(s) FROM types_t WHERE n >= 2000").to_a
  local.close
end

# The options of Rails, and the database chosen again.
rails = connect(flags: %w[FOUND_ROWS], init_command: "SET @@SESSION.sql_mode = 'STRICT_ALL_TABLES', @@SESSION.wait_timeout = 2147483")
show "Rails", rails.query("SELECT @@sql_mode, @@wait_timeout, @@autocommit").to_a
rails.query("UPDATE types_t SET s = 'multi' WHERE n < 3")
show "found", rails.affected_rows
show "chosen", rails.select_db("app"), rails.ping, rails.query("SELECT DATABASE()").to_a
rails.close
