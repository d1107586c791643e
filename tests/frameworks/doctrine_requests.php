<?php
// Requests to an application with Doctrine's ORM, each in one transaction:
//
//     php doctrine_requests.php PORT USER PASSWORD
//
// For each line of the input one request: `write` reads five rows and changes one, `read` only reads. When the request
// is over, a line with the value of the first row is printed. The components are Debian's.

require 'Doctrine/ORM/autoload.php';

use Doctrine\DBAL\DriverManager;
use Doctrine\ORM\Configuration;
use Doctrine\ORM\EntityManager;
use Doctrine\ORM\Mapping as ORM;
use Doctrine\ORM\Mapping\Driver\AttributeDriver;

// What is of that age says of itself that the next version will want more of it.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
[, $port, $user, $password] = $argv;

#[ORM\Entity, ORM\Table(name: 't')]
class Row
{
    #[ORM\Id, ORM\Column, ORM\GeneratedValue]
    public int $id;
    #[ORM\Column]
    public int $n;
}

$configuration = new Configuration();
$configuration->setMetadataDriverImpl(new AttributeDriver([__DIR__]));
$configuration->setProxyDir(sys_get_temp_dir());
$configuration->setProxyNamespace('Proxies');
$configuration->setAutoGenerateProxyClasses(true);
$connection = DriverManager::getConnection([
    'driver' => 'pdo_mysql', 'host' => '127.0.0.1', 'port' => (int) $port, 'dbname' => 'app',
    'user' => $user, 'password' => $password, 'charset' => 'utf8mb4',
], $configuration);
$manager = method_exists(EntityManager::class, 'create')
    ? EntityManager::create($connection, $configuration)
    : new EntityManager($connection, $configuration);

while (($line = fgets(STDIN)) !== false) {
    $value = $manager->wrapInTransaction(function (EntityManager $manager) use ($line): int {
        $rows = array_map(fn (int $id): Row => $manager->find(Row::class, $id), range(1, 5));
        if (trim($line) === 'write') {
            ++$rows[0]->n;
        }

        return $rows[0]->n;
    });
    // The next request knows nothing of this one.
    $manager->clear();
    echo $value, "\n";
}
