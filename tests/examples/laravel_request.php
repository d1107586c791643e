<?php
// One request through the middleware of docs/examples/consistency/laravel:
//
//     php laravel_request.php PORT USER PASSWORD /write|/read [COOKIE]
//
// /write adds a row, /read counts them; printed are the answer and the cookie that came with it. Requests,
// responses, the database and its facade are Debian's Illuminate packages; the kernel that calls the middleware is
// not among them, so it is called by hand.

require 'Illuminate/Database/autoload.php';
require 'Illuminate/Http/autoload.php';
require __DIR__.'/../../docs/examples/consistency/laravel/LandbridgeToken.php';

use App\Http\Middleware\LandbridgeToken;
use Illuminate\Container\Container;
use Illuminate\Database\Capsule\Manager;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Facade;

// Laravel 8 says of itself that PHP 8.2 will want more of it one day.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
[, $port, $user, $password, $path] = $argv;

$container = new Container();
$database = new Manager($container);
$database->addConnection([
    'driver' => 'mysql', 'host' => '127.0.0.1', 'port' => $port, 'database' => 'app',
    'username' => $user, 'password' => $password, 'charset' => 'utf8mb4', 'collation' => 'utf8mb4_general_ci',
    'strict' => true,
]);
$container->instance('db', $database->getDatabaseManager());
Facade::setFacadeApplication($container);

$request = Request::create($path, 'GET', [], isset($argv[5]) ? ['landbridge_token' => $argv[5]] : []);
$response = (new LandbridgeToken())->handle($request, fn () => match ($path) {
    '/write' => new Response(DB::table('t')->insert(['s' => 'laravel']) ? 'written' : 'failed'),
    '/read' => new Response((string) DB::table('t')->where('s', 'laravel')->count()),
});
echo $response->getContent(), "\n", ($response->headers->getCookies()[0] ?? null)?->getValue(), "\n";
