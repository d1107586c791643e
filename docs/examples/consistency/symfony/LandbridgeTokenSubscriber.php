<?php

namespace App\EventSubscriber;

use Doctrine\DBAL\Connection;
use Doctrine\DBAL\Exception;
use Doctrine\DBAL\Exception\DriverException;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;
use Symfony\Component\HttpFoundation\Cookie;
use Symfony\Component\HttpKernel\Event\RequestEvent;
use Symfony\Component\HttpKernel\Event\ResponseEvent;
use Symfony\Component\HttpKernel\KernelEvents;

/**
 * Carries Landbridge's consistency token in a cookie: the next request, on whatever host or in whatever
 * region, sees what this one wrote and saw.
 */
final class LandbridgeTokenSubscriber implements EventSubscriberInterface
{
    private const COOKIE = 'landbridge_token';
    private const TOKEN = '/^[A-Za-z0-9_~-]{1,4000}$/D';
    // No such variable: a server without Landbridge. No such value: a cookie that somebody made up.
    private const REFUSED = [1193, 1231];

    public function __construct(private Connection $connection)
    {
    }

    public static function getSubscribedEvents(): array
    {
        // Before sessions and logins read from the database, and after they write to it.
        return [KernelEvents::REQUEST => ['onRequest', 1024], KernelEvents::RESPONSE => ['onResponse', -2048]];
    }

    public function onRequest(RequestEvent $event): void
    {
        $token = $event->isMainRequest() ? $event->getRequest()->cookies->get(self::COOKIE, '') : '';
        if (!preg_match(self::TOKEN, $token)) {
            return;
        }
        try {
            $this->connection->executeStatement('SET @@landbridge_token = ?', [$token]);
        } catch (DriverException $error) {
            if (!in_array($error->getCode(), self::REFUSED, true)) {
                throw $error;
            }
        }
    }

    public function onResponse(ResponseEvent $event): void
    {
        if (!$event->isMainRequest() || !$this->connection->isConnected()) {
            return;
        }
        try {
            $token = (string) $this->connection->fetchOne('SELECT @@landbridge_token');
        } catch (Exception) {
            return;
        }
        if ($token !== '') {
            $secure = $event->getRequest()->isSecure();
            $event->getResponse()->headers->setCookie(
                Cookie::create(self::COOKIE, $token, time() + 3600, secure: $secure),
            );
        }
    }
}
