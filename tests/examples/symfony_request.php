<?php
// One request to a Symfony kernel with the subscriber of docs/examples/consistency/symfony:
//
//     php symfony_request.php PORT USER PASSWORD /write|/read [COOKIE]
//
// /write adds a row, /read counts them; printed are the answer and the cookie that came with it. The components
// are Debian's: HttpKernel, HttpFoundation, EventDispatcher, Doctrine DBAL.

require 'Symfony/Component/HttpKernel/autoload.php';
require 'Doctrine/DBAL/autoload.php';
require __DIR__.'/../../docs/examples/consistency/symfony/LandbridgeTokenSubscriber.php';

use App\EventSubscriber\LandbridgeTokenSubscriber;
use Doctrine\DBAL\DriverManager;
use Symfony\Component\EventDispatcher\EventDispatcher;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\RequestStack;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpKernel\Controller\ArgumentResolver;
use Symfony\Component\HttpKernel\Controller\ControllerResolver;
use Symfony\Component\HttpKernel\HttpKernel;

// Symfony 5.4 says of itself that PHP 8.2 will want more of it one day.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
[, $port, $user, $password, $path] = $argv;

$connection = DriverManager::getConnection([
    'driver' => 'pdo_mysql', 'host' => '127.0.0.1', 'port' => (int) $port, 'dbname' => 'app',
    'user' => $user, 'password' => $password, 'charset' => 'utf8mb4',
]);
$dispatcher = new EventDispatcher();
$dispatcher->addSubscriber(new LandbridgeTokenSubscriber($connection));
$kernel = new HttpKernel($dispatcher, new ControllerResolver(), new RequestStack(), new ArgumentResolver());

$request = Request::create($path, 'GET', [], isset($argv[5]) ? ['landbridge_token' => $argv[5]] : []);
$request->attributes->set('_controller', match ($path) {
    '/write' => function () use ($connection): Response {
        $connection->insert('t', ['s' => 'symfony']);

        return new Response('written');
    },
    '/read' => fn (): Response => new Response((string) $connection->fetchOne('SELECT COUNT(*) FROM t WHERE s = ?', ['symfony'])),
});
$response = $kernel->handle($request, HttpKernel::MAIN_REQUEST, false);
echo $response->getContent(), "\n", ($response->headers->getCookies()[0] ?? null)?->getValue(), "\n";
