ScarcePage.start();
