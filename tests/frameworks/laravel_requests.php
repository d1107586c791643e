<?php
// Requests to an application with Laravel's database layer, each in one transaction:
//
//     php laravel_requests.php PORT USER PASSWORD
//
// For each line of the input one request: `write` reads five rows and changes one, `read` only reads. When the request
// is over, a line with the value of the first row is printed. The components are Debian's.

require 'Illuminate/Database/autoload.php';

use Illuminate\Database\Capsule\Manager;
use Illuminate\Database\Eloquent\Model;

// Laravel 8 says of itself that PHP 8.2 will want more of it one day.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
[, $port, $user, $password] = $argv;

class Row extends Model
{
    protected $table = 't';
    public $timestamps = false;
}

$database = new Manager();
$database->addConnection([
    'driver' => 'mysql', 'host' => '127.0.0.1', 'port' => $port, 'database' => 'app',
    'username' => $user, 'password' => $password, 'charset' => 'utf8mb4', 'collation' => 'utf8mb4_general_ci',
    'strict' => true,
]);
$database->setAsGlobal();
$database->bootEloquent();

while (($line = fgets(STDIN)) !== false) {
    echo $database->getConnection()->transaction(function () use ($line): int {
        $rows = array_map(fn (int $id): Row => Row::findOrFail($id), range(1, 5));
        if (trim($line) === 'write') {
            ++$rows[0]->n;
            $rows[0]->save();
        }

        return $rows[0]->n;
    }), "\n";
}
